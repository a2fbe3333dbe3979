# cmake -D COMPILER= -D INCLUDE= -D SOURCE= -P check.cmake
cmake_minimum_required(VERSION 3.25)

file(STRINGS ${SOURCE} expected REGEX "^// error: ")
list(LENGTH expected count)
if(NOT count EQUAL 1)
  message(FATAL_ERROR "${SOURCE}: wants exactly one line '// error: <regular expression>'")
endif()
string(REPLACE "// error: " "" expected "${expected}")

set(compile ${COMPILER} -std=c++20 -fsyntax-only -Wall -Werror -I${INCLUDE} ${SOURCE})
execute_process(COMMAND ${CMAKE_COMMAND} -E env LC_ALL=C ${compile}
  RESULT_VARIABLE failed OUTPUT_VARIABLE output ERROR_VARIABLE output)
if(failed)
  message(FATAL_ERROR "${SOURCE} does not compile even without the misuse:\n${output}")
endif()

execute_process(COMMAND ${CMAKE_COMMAND} -E env LC_ALL=C ${compile} -DWEIR_MISUSE
  RESULT_VARIABLE failed OUTPUT_VARIABLE output ERROR_VARIABLE output)
if(NOT failed)
  message(FATAL_ERROR "${SOURCE} compiles with the misuse")
endif()
if(NOT output MATCHES "${expected}")
  message(FATAL_ERROR "${SOURCE} fails, but not with '${expected}':\n${output}")
endif()
