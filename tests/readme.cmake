# cmake -D ROOT=<source tree> -P readme.cmake
# A block that README.md quotes stands right under the line `<!-- samples/<name>.cpp -->` and
# equals that file. Whole programs are always quoted.
cmake_minimum_required(VERSION 3.25)

file(READ ${ROOT}/README.md readme)
string(REGEX MATCHALL "<!-- samples/[a-z_]+\\.cpp -->" marks "${readme}")
if(NOT marks)
  message(FATAL_ERROR "README.md quotes no sample")
endif()

foreach(mark IN LISTS marks)
  string(REGEX REPLACE "<!-- (.*) -->" "\\1" sample "${mark}")
  file(READ ${ROOT}/${sample} code)
  set(block "${mark}\n```cpp\n${code}```\n")
  string(FIND "${readme}" "${block}" at)
  if(at EQUAL -1)
    message(SEND_ERROR "README.md does not quote ${sample} as it is")
  endif()
  string(REPLACE "${block}" "" readme "${readme}")
endforeach()

if(readme MATCHES "int main\\(")
  message(SEND_ERROR "README.md has a program that is no quoted sample")
endif()
