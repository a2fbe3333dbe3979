# cmake -D ROOT=<source tree> -P ascii.cmake: printable ASCII only, no tabs, no space at a line's end.
cmake_minimum_required(VERSION 3.25)

file(GLOB_RECURSE files ${ROOT}/cmake/* ${ROOT}/include/* ${ROOT}/lib/* ${ROOT}/samples/*
  ${ROOT}/tests/* ${ROOT}/.ci/*)
file(GLOB root_files LIST_DIRECTORIES false ${ROOT}/*)
list(APPEND files ${root_files})
list(FILTER files EXCLUDE REGEX "/tests/fuzz/corpus/")  # bytes of any kind are its point

execute_process(COMMAND ${CMAKE_COMMAND} -E env LC_ALL=C
  grep -nE "[^ -~]| $" /dev/null ${files} OUTPUT_VARIABLE found RESULT_VARIABLE result)
if(result EQUAL 0)
  message(NOTICE "${found}")
  message(FATAL_ERROR "not printable ASCII, or space at the end of the line; see above")
elseif(NOT result EQUAL 1)
  message(FATAL_ERROR "grep failed: ${result}")
endif()
