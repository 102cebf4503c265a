# Everything comes from the system's packages; docs/dependencies.md says why each is here.
find_package(Threads REQUIRED)
set(Protobuf_USE_STATIC_LIBS ${PENSTOCK_STATIC_DEPS})
find_package(Protobuf REQUIRED) # module mode: Debian ships no config file
find_package(absl CONFIG REQUIRED)
find_package(yaml-cpp CONFIG REQUIRED)
find_package(nlohmann_json CONFIG REQUIRED)
find_package(spdlog CONFIG REQUIRED)

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
