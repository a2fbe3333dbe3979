# cmake -D ROOT=<source tree> -P banned.cmake: what must not stand in the sources.
cmake_minimum_required(VERSION 3.25)

# forbid(<why> <extended regular expression> IN <folder>... [EXCEPT <folder>...] [UNLESS <regex>])
function(forbid why pattern)
  cmake_parse_arguments(arg "" "UNLESS" "IN;EXCEPT" ${ARGN})
  list(TRANSFORM arg_IN PREPEND ${ROOT}/)
  execute_process(COMMAND ${CMAKE_COMMAND} -E env LC_ALL=C
    grep -rnE --include=*.hpp --include=*.cpp --include=*.sh --include=CMakeLists.txt
      -e "${pattern}" ${arg_IN}
    OUTPUT_VARIABLE found RESULT_VARIABLE result)
  if(result GREATER 1)
    message(FATAL_ERROR "grep failed: ${result}")
  endif()
  foreach(path IN LISTS arg_EXCEPT)
    string(REGEX REPLACE "(^|\n)${ROOT}/${path}[^\n]*" "" found "${found}")
  endforeach()
  if(arg_UNLESS)
    string(REGEX REPLACE "(^|\n)[^\n]*${arg_UNLESS}[^\n]*" "" found "${found}")
  endif()
  string(STRIP "${found}" found)
  if(found)
    message(NOTICE "${found}")
    message(SEND_ERROR "${why}; see above")
  endif()
endfunction()

set(call "(^|[;{}()?=,&|!]) *(std::|::)?")

forbid("a TODO says its kind, TODO(perf|test|spec|port): ..." "TODO"
  IN lib include tests samples cmake UNLESS "TODO\\((perf|test|spec|port)\\): ")
forbid("nothing waits by sleeping"
  "(sleep_for|sleep_until|[^a-z_](usleep|nanosleep|sleep)) *\\("
  IN lib include tests EXCEPT lib/harness/ tests/stress/ tests/harness/)
forbid("the library does not print"
  "std::(cout|cerr|clog)|${call}(printf|fprintf|vfprintf|puts|fputs|putchar|perror) *\\("
  IN lib include EXCEPT lib/harness/)
forbid("the library does not end the process"
  "${call}((abort|terminate) *\\( *\\)|(exit|_exit|_Exit|quick_exit) *\\()"
  IN lib include EXCEPT lib/harness/)
forbid("no exception is swallowed" "catch *\\([^)]*\\) *\\{ *\\}" IN lib include tests samples)
forbid("no thread is detached" "[.>]detach *\\(" IN lib include tests samples)
forbid("lines have at most 100 columns" "^.{101}" IN lib include tests samples)
