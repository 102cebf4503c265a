# penstock_library(name HDRS ... SRCS ... PUBLIC ... PRIVATE ...)
#   One library a folder, penstock::name. PUBLIC: what our headers include; PRIVATE: the rest.
# penstock_binary(name SRCS ... DEPS ...)
#   An executable in build/<preset>/bin.
# penstock_test(name [ONE_THREAD] SRCS ... [ONE_THREAD_SRCS ...] DEPS ... [LABEL unit|integration|gpu|slow]
#               [PATHS source ...])
#   One test binary a folder; each gtest case is a ctest case, but in sanitized builds, whose processes
#   take longer to start than most cases to run. ThreadSanitizer passes over what starts no thread: a
#   binary that is ONE_THREAD, sources in ONE_THREAD_SRCS. Integration tests run with nothing beside
#   them. Only the sources in PATHS know where the tree and its binaries are: the compiler cache must
#   hit in another clone for the rest.
# penstock_fuzzer(name SRCS ... DEPS ...)
#   A libFuzzer target, only under PENSTOCK_BUILD_FUZZERS; `penstock_fuzzers` builds all, and nothing else.

function(penstock_library name)
  cmake_parse_arguments(ARG "" "" "HDRS;SRCS;PUBLIC;PRIVATE" ${ARGN})
  set(target penstock_${name})
  if(ARG_SRCS)
    add_library(${target} STATIC ${ARG_HDRS} ${ARG_SRCS})
    target_include_directories(${target} PUBLIC ${CMAKE_SOURCE_DIR})
    target_link_libraries(${target} PUBLIC ${ARG_PUBLIC} PRIVATE ${ARG_PRIVATE})
  else()
    add_library(${target} INTERFACE ${ARG_HDRS})
    target_include_directories(${target} INTERFACE ${CMAKE_SOURCE_DIR})
    target_link_libraries(${target} INTERFACE ${ARG_PUBLIC})
  endif()
  add_library(penstock::${name} ALIAS ${target})
endfunction()

function(penstock_binary name)
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SRCS})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} ${PENSTOCK_ALLOCATOR})
endfunction()

function(penstock_test name)
  if(NOT PENSTOCK_BUILD_TESTS)
    return()
  endif()
  cmake_parse_arguments(ARG "ONE_THREAD" "LABEL" "SRCS;ONE_THREAD_SRCS;DEPS;PATHS" ${ARGN})
  if(ARG_ONE_THREAD AND PENSTOCK_SANITIZE MATCHES thread)
    return()
  endif()
  if(NOT PENSTOCK_SANITIZE MATCHES thread)
    list(APPEND ARG_SRCS ${ARG_ONE_THREAD_SRCS})
  endif()
  if(NOT ARG_LABEL)
    set(ARG_LABEL unit)
  endif()
  set(alone FALSE)
  if(ARG_LABEL STREQUAL integration)
    set(alone TRUE)
  endif()
  set(target penstock_${name}_test)
  add_executable(${target} ${ARG_SRCS})
  target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(${target} PRIVATE ${ARG_DEPS} GTest::gmock GTest::gtest GTest::gtest_main)
  if(ARG_PATHS)
    set_property(SOURCE ${ARG_PATHS} APPEND PROPERTY COMPILE_DEFINITIONS
      PENSTOCK_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
      PENSTOCK_BIN_DIR="${CMAKE_RUNTIME_OUTPUT_DIRECTORY}")
  endif()
  if(PENSTOCK_SANITIZE)
    add_test(NAME ${target} COMMAND ${target} --gtest_brief=1)
    set_tests_properties(${target} PROPERTIES LABELS ${ARG_LABEL} TIMEOUT 1500
      ENVIRONMENT LSAN_OPTIONS=suppressions=${CMAKE_SOURCE_DIR}/tests/leaks_of_others.supp)
    return()
  endif()
  gtest_discover_tests(${target} DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60
    PROPERTIES LABELS ${ARG_LABEL} TIMEOUT 300 RUN_SERIAL ${alone})
endfunction()

function(penstock_fuzzer name)
  if(NOT PENSTOCK_BUILD_FUZZERS)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS" ${ARGN})
  set(target penstock_${name}_fuzzer)
  add_executable(${target} ${ARG_SRCS})
  target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_options(${target} PRIVATE -fsanitize=fuzzer)
  target_link_libraries(${target} PRIVATE ${ARG_DEPS})
  if(NOT TARGET penstock_fuzzers)
    add_custom_target(penstock_fuzzers)
  endif()
  add_dependencies(penstock_fuzzers ${target})
endfunction()

# penstock_bench(name [OWN_NEW] SRCS ... DEPS ...)
#   A program of bench/<question>, penstock_bench_name in build/<preset>/bin. OWN_NEW: it replaces
#   operator new, to count.
function(penstock_bench name)
  cmake_parse_arguments(ARG "OWN_NEW" "" "SRCS;DEPS" ${ARGN})
  if(ARG_OWN_NEW)
    set(PENSTOCK_ALLOCATOR "")
  endif()
  penstock_binary(penstock_bench_${name} SRCS ${ARG_SRCS} DEPS ${ARG_DEPS})
endfunction()
