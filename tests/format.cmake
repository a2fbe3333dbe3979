# cmake -D ROOT=<source tree> -D CLANG_FORMAT=<program> -P format.cmake
cmake_minimum_required(VERSION 3.25)

file(GLOB_RECURSE files ${ROOT}/include/*.hpp ${ROOT}/lib/*.[ch]pp ${ROOT}/samples/*.cpp
  ${ROOT}/tests/*.[ch]pp)
execute_process(COMMAND ${CLANG_FORMAT} --dry-run --Werror ${files} RESULT_VARIABLE failed)
if(failed)
  message(FATAL_ERROR "clang-format -i would change these files")
endif()
