# cmake -D ROUTE=<route> -D BUILD= -D PREFIX= -D LIBDIR= -D ROOT= -D WORK= -D COMPILER= -D LAUNCHER=
#   -P check.cmake
# `prefix` installs BUILD into PREFIX. The other routes build and run a consumer in an empty folder.
cmake_minimum_required(VERSION 3.25)

function(run)
  execute_process(COMMAND ${ARGN} COMMAND_ECHO STDOUT RESULT_VARIABLE failed)
  if(failed)
    message(FATAL_ERROR "${ROUTE}: exit ${failed} of: ${ARGN}")
  endif()
endfunction()

if(ROUTE STREQUAL "prefix")
  file(REMOVE_RECURSE ${PREFIX})
  run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${PREFIX})
  return()
endif()

set(here ${CMAKE_CURRENT_LIST_DIR})
file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK})

if(ROUTE STREQUAL "pkg_config")
  set(ENV{PKG_CONFIG_PATH} ${PREFIX}/${LIBDIR}/pkgconfig)
  execute_process(COMMAND pkg-config --cflags --libs weir
    OUTPUT_VARIABLE flags OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  separate_arguments(flags UNIX_COMMAND "${flags}")
  run(${COMPILER} -std=c++20 ${here}/consumer.cpp ${flags} -o ${WORK}/consumer)
else()
  run(${CMAKE_COMMAND} -S ${here}/${ROUTE} -B ${WORK} -G Ninja -D CMAKE_PREFIX_PATH=${PREFIX}
    -D WEIR_ROOT=${ROOT} -D CMAKE_CXX_COMPILER=${COMPILER}
    -D CMAKE_CXX_COMPILER_LAUNCHER=${LAUNCHER})
  run(${CMAKE_COMMAND} --build ${WORK} -j 1)
  run(${WORK}/harness_consumer)
endif()
run(${WORK}/consumer)
