# cmake -D ROOT=<source tree> -P layers.cmake
# Reads the #include lines of lib/ and include/ and fails on every edge that is not below.
cmake_minimum_required(VERSION 3.25)

# Layers, and what each may include beside itself.
set(may_public_base "")                          # chunk, error, export, headers, trace
set(may_public public_base)                      # the other public headers
set(may_public_harness public_base)
set(may_base public_base)
set(may_flow public_base base)
set(may_decode public_base base flow)
set(may_driver public_base base flow)            # net/driver.hpp, net/trace.hpp: the seam
set(may_net public_base base flow driver)
set(may_api public_base public base flow decode driver)
set(may_sse public_base public base api)
set(may_harness public_base base public_harness)
set(may_harness_user public_base public base harness public_harness)   # slow reader, program

# Two headers take plain values (options, figures) from the public header that shows them to users.
set(values lib/flow/channel.hpp:weir/reader.hpp lib/net/driver.hpp:weir/fetch.hpp)

function(layer_of path out)
  if(path MATCHES "^include/weir/(chunk|error|export|headers|trace)\\.hpp$")
    set(layer public_base)
  elseif(path MATCHES "^(include/weir|lib)/harness/(slow_reader\\.|main\\.|cmd/)")
    set(layer harness_user)
  elseif(path MATCHES "^include/weir/harness/")
    set(layer public_harness)
  elseif(path MATCHES "^include/weir/")
    set(layer public)
  elseif(path MATCHES "^lib/net/(driver|trace)\\.hpp$")
    set(layer driver)
  elseif(path MATCHES "^lib/(base|flow|decode|net|api|sse|harness)/")
    set(layer ${CMAKE_MATCH_1})
  else()
    message(FATAL_ERROR "${path} belongs to no layer")
  endif()
  set(${out} ${layer} PARENT_SCOPE)
endfunction()

# Headers of others that are not for everyone: a pattern, and the files that may include it.
set(foreign
  "^curl/"                                 "^lib/net/curl_"
  "^openssl/"                              "^lib/(harness|api)/"
  "^nghttp2/"                              "^lib/harness/"
  "^(zlib\\.h|brotli/|zstd\\.h)"           "^lib/(decode|harness)/"
  "^(sys/(epoll|eventfd|timerfd)\\.h|linux/)"  "^lib/(net/event_loop|harness/)")

function(check_foreign path header)
  if(path MATCHES "^include/" AND NOT header MATCHES "^[a-z_]+$")
    message(SEND_ERROR "${path} includes <${header}>: public headers include std and weir only")
  endif()
  set(rules ${foreign})
  while(rules)
    list(POP_FRONT rules pattern where)
    if(header MATCHES "${pattern}" AND NOT path MATCHES "${where}")
      message(SEND_ERROR "${path} includes <${header}>, which only ${where} may")
    endif()
  endwhile()
endfunction()

function(check_own path header)
  set(target "")
  foreach(folder lib include)
    if(EXISTS ${ROOT}/${folder}/${header})
      set(target ${folder}/${header})
    endif()
  endforeach()
  if(NOT target)
    message(SEND_ERROR "${path} includes ${header}, which is not below lib/ or include/")
    return()
  endif()
  layer_of(${path} from)
  layer_of(${target} to)
  if(NOT to STREQUAL from AND NOT to IN_LIST may_${from} AND NOT ${path}:${header} IN_LIST values)
    message(SEND_ERROR "${path} (${from}) includes ${header} (${to})")
  endif()
endfunction()

file(GLOB_RECURSE files RELATIVE ${ROOT} ${ROOT}/lib/*.[ch]pp ${ROOT}/include/*.[ch]pp)
set(edges 0)
foreach(path IN LISTS files)
  file(STRINGS ${ROOT}/${path} lines REGEX "^[ ]*#[ ]*include")
  foreach(line IN LISTS lines)
    if(line MATCHES "include +\"([^\"]+)\"")
      check_own(${path} ${CMAKE_MATCH_1})
    elseif(line MATCHES "include +<(weir/[^>]+)>")
      check_own(${path} ${CMAKE_MATCH_1})
    elseif(line MATCHES "include +<([^>]+)>")
      check_foreign(${path} ${CMAKE_MATCH_1})
    else()
      message(SEND_ERROR "${path}: cannot read ${line}")
    endif()
    math(EXPR edges "${edges} + 1")
  endforeach()
endforeach()
message(STATUS "${edges} includes checked")
if(edges EQUAL 0)
  message(FATAL_ERROR "no include found below ${ROOT}")
endif()
