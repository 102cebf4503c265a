# Everything comes from the system's packages; docs/dependencies.md says why each is here.
find_package(Threads REQUIRED)
set(Protobuf_USE_STATIC_LIBS ${PENSTOCK_STATIC_DEPS})
find_package(Protobuf REQUIRED) # module mode: Debian ships no config file
find_package(absl CONFIG REQUIRED)
find_package(yaml-cpp CONFIG REQUIRED)
find_package(nlohmann_json CONFIG REQUIRED)
find_package(PkgConfig REQUIRED)
# hiredis' own CMake file does not load; libevent ships none.
pkg_check_modules(hiredis REQUIRED IMPORTED_TARGET hiredis)
pkg_check_modules(libevent REQUIRED IMPORTED_TARGET libevent_core libevent_extra libevent_openssl)
# BLAKE2b, of decision logs; it ships no CMake file.
pkg_check_modules(sodium REQUIRED IMPORTED_TARGET libsodium)
# Its pkg-config file wants jansson's headers, which its own do not include.
find_path(CJOSE_INCLUDE_DIR cjose/cjose.h REQUIRED)
find_library(CJOSE_LIBRARY cjose REQUIRED)
add_library(cjose UNKNOWN IMPORTED)
set_target_properties(cjose PROPERTIES IMPORTED_LOCATION ${CJOSE_LIBRARY}
  INTERFACE_INCLUDE_DIRECTORIES ${CJOSE_INCLUDE_DIR})

if(NOT PENSTOCK_CORE_ONLY)
  find_package(gRPC CONFIG REQUIRED)
  find_package(prometheus-cpp CONFIG REQUIRED)
  find_package(CLI11 CONFIG REQUIRED)
  find_program(GRPC_CPP_PLUGIN grpc_cpp_plugin REQUIRED)
endif()

if(PENSTOCK_STATIC_DEPS)
  include(static_dependencies)
endif()

if(PENSTOCK_BUILD_TESTS)
  find_package(GTest CONFIG REQUIRED)
  include(GoogleTest)
endif()
