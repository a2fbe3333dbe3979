# Install rules: targets, headers, the CMake package and weir.pc.
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/weir)
install(TARGETS weir EXPORT weirTargets FILE_SET HEADERS)
if(WEIR_BUILD_HARNESS)
  install(TARGETS weir_harness EXPORT weirTargets FILE_SET HEADERS)
  install(TARGETS weir-harness)
endif()
install(EXPORT weirTargets NAMESPACE weir:: DESTINATION ${package_dir})

set(requires
  "libcurl >= 7.88.1, libcrypto >= 3.0, zlib >= 1.2.11, libbrotlidec >= 1.0, libzstd >= 1.4.0")
get_target_property(library_type weir TYPE)
if(library_type STREQUAL "STATIC_LIBRARY")
  set(WEIR_IS_STATIC ON)
  set(WEIR_PC_REQUIRES "Requires: ${requires}")
else()
  set(WEIR_IS_STATIC OFF)
  set(WEIR_PC_REQUIRES "Requires.private: ${requires}")
endif()
foreach(kind LIB INCLUDE)
  cmake_path(APPEND WEIR_PC_${kind}DIR "\${prefix}" ${CMAKE_INSTALL_${kind}DIR})
endforeach()
# Relative to itself, weir.pc may move with the tree and follow `cmake --install --prefix`.
set(WEIR_PC_PREFIX ${CMAKE_INSTALL_PREFIX})
if(NOT IS_ABSOLUTE ${CMAKE_INSTALL_LIBDIR})
  file(RELATIVE_PATH up /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
  string(REGEX REPLACE "/$" "" up "${up}")
  set(WEIR_PC_PREFIX "\${pcfiledir}/${up}")
endif()

configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/weirConfig.cmake.in
  ${PROJECT_BINARY_DIR}/weirConfig.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/weirConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
configure_file(${CMAKE_CURRENT_LIST_DIR}/weir.pc.in ${PROJECT_BINARY_DIR}/weir.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/weirConfig.cmake ${PROJECT_BINARY_DIR}/weirConfigVersion.cmake
  DESTINATION ${package_dir})
install(FILES ${PROJECT_BINARY_DIR}/weir.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
