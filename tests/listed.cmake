# cmake -D ROOT=<source tree> -P listed.cmake
# Sources are listed by hand: one that is forgotten would silently not be built, or not be tested.
cmake_minimum_required(VERSION 3.25)

function(expect_listed file list)
  file(READ ${ROOT}/${list} text)
  cmake_path(GET file FILENAME name)
  if(NOT text MATCHES "(^|[ /\n(])${name}[ \n)]")
    message(SEND_ERROR "${file} is not listed in ${list}")
  endif()
endfunction()

file(GLOB_RECURSE libraries RELATIVE ${ROOT} ${ROOT}/lib/*.cpp ${ROOT}/include/*.hpp)
file(GLOB_RECURSE tests RELATIVE ${ROOT} ${ROOT}/tests/*_test.cpp)
if(NOT libraries OR NOT tests)
  message(FATAL_ERROR "no sources below ${ROOT}")
endif()
foreach(file IN LISTS libraries)
  expect_listed(${file} CMakeLists.txt)
endforeach()
foreach(file IN LISTS tests)
  cmake_path(GET file PARENT_PATH folder)
  expect_listed(${file} ${folder}/CMakeLists.txt)
endforeach()
