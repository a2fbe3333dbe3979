# Sanitizers and coverage, per target. Nothing of this is exported.
set_property(CACHE WEIR_SANITIZE PROPERTY STRINGS "" "address,undefined" "thread")
if(NOT WEIR_SANITIZE MATCHES "^(|address,undefined|thread)$")
  message(FATAL_ERROR "WEIR_SANITIZE is '${WEIR_SANITIZE}': "
    "it may be empty, 'address,undefined' or 'thread'")
endif()

function(weir_sanitizers target)
  set(flags "")
  if(WEIR_SANITIZE)
    # -O1 keeps the slow builds usable, and their stacks readable.
    list(APPEND flags -fsanitize=${WEIR_SANITIZE} -fno-sanitize-recover=all
      -fno-omit-frame-pointer -O1 -g1)
  endif()
  if(WEIR_SANITIZE MATCHES undefined)
    # It looks at an object through a pipe, and without descriptors takes each for a broken one.
    list(APPEND flags -fno-sanitize=vptr)
  endif()
  if(WEIR_COVERAGE)
    list(APPEND flags --coverage)
  endif()
  target_compile_options(${target} PRIVATE ${flags})
  target_link_options(${target} PRIVATE ${flags})
endfunction()
