# The rules of the house that a script can check, and a proof that each script sees a violation.
foreach(rule layers listed ascii banned readme)
  add_test(NAME ${tier}rules/${rule}
    COMMAND ${CMAKE_COMMAND} -D ROOT=${PROJECT_SOURCE_DIR}
      -P ${CMAKE_CURRENT_SOURCE_DIR}/${rule}.cmake)
  set_tests_properties(${tier}rules/${rule} PROPERTIES LABELS unit TIMEOUT 60)
endforeach()

add_test(NAME ${tier}rules/are_enforced
  COMMAND ${CMAKE_COMMAND} -D WORK=${CMAKE_CURRENT_BINARY_DIR}/violations
    -P ${CMAKE_CURRENT_SOURCE_DIR}/rules_test.cmake)
set_tests_properties(${tier}rules/are_enforced PROPERTIES LABELS unit TIMEOUT 60)

# Layout differs between versions of clang-format; 14 is the one the tree follows.
find_program(WEIR_CLANG_FORMAT NAMES clang-format-14 clang-format)
mark_as_advanced(WEIR_CLANG_FORMAT)
if(WEIR_CLANG_FORMAT)
  execute_process(COMMAND ${WEIR_CLANG_FORMAT} --version OUTPUT_VARIABLE format_version)
endif()
if(format_version MATCHES "version 14\\.")
  add_test(NAME ${tier}rules/format
    COMMAND ${CMAKE_COMMAND} -D ROOT=${PROJECT_SOURCE_DIR} -D CLANG_FORMAT=${WEIR_CLANG_FORMAT}
      -P ${CMAKE_CURRENT_SOURCE_DIR}/format.cmake)
  set_tests_properties(${tier}rules/format PROPERTIES LABELS unit TIMEOUT 120)
endif()
