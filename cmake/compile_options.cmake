# Flags for all our targets, the linker, and the compiler cache.
add_compile_options(-Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers)
# A closed set that gains a member must not compile until every switch over it knows the member.
add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-Werror=switch>)
if(PENSTOCK_WERROR)
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-Werror>)
endif()

if(PENSTOCK_SANITIZE)
  add_compile_options(-fsanitize=${PENSTOCK_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${PENSTOCK_SANITIZE})
endif()
if(PENSTOCK_SANITIZE STREQUAL "thread")
  # Debian builds protobuf and Abseil without TSan, and under __SANITIZE_THREAD__ their headers describe
  # other objects than those libraries hold (protobuf's map fields gain two members: copying one crashes).
  # libstdc++ derives _GLIBCXX_TSAN from the same macro, so that is set by hand.
  add_compile_options(-U__SANITIZE_THREAD__ -D_GLIBCXX_TSAN=1 -DPENSTOCK_TSAN)
endif()

find_program(PENSTOCK_MOLD mold)
if(PENSTOCK_MOLD)
  add_link_options(-fuse-ld=mold)
endif()

# Relative paths in the cache keys: without them a second clone of the repository never hits.
find_program(PENSTOCK_CCACHE ccache)
if(PENSTOCK_CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
      CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${PENSTOCK_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_C_COMPILER_LAUNCHER})
endif()
