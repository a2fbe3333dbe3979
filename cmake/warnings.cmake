# The warnings of every target, and clang-tidy where asked for.
function(weir_warnings target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wconversion
    $<$<CXX_COMPILER_ID:Clang,AppleClang>:-Wthread-safety>
    $<$<BOOL:${WEIR_WERROR}>:-Werror>)
  if(WEIR_CLANG_TIDY)
    find_program(WEIR_CLANG_TIDY_PROGRAM clang-tidy REQUIRED)
    set_target_properties(${target} PROPERTIES
      CXX_CLANG_TIDY "${WEIR_CLANG_TIDY_PROGRAM};--quiet;--warnings-as-errors=*")
  endif()
endfunction()
