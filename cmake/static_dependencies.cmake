# PENSTOCK_STATIC_DEPS: gRPC, protobuf and Abseil from the archives that the system ships beside its shared
# libraries: calls into them need no procedure linkage table and no __tls_get_addr. All of them
# or none: a second copy of Abseil or of a descriptor in one process does not work.
find_package(ZLIB REQUIRED)

get_property(imported DIRECTORY PROPERTY IMPORTED_TARGETS)
list(FILTER imported INCLUDE REGEX "^(gRPC|absl)::")
set(shared)
foreach(target ${imported})
  get_target_property(type ${target} TYPE)
  if(type STREQUAL "SHARED_LIBRARY")
    list(APPEND shared ${target})
    get_target_property(configurations ${target} IMPORTED_CONFIGURATIONS)
    foreach(configuration ${configurations})
      get_target_property(location ${target} IMPORTED_LOCATION_${configuration})
      string(REGEX REPLACE "\\.so[.0-9]*$" ".a" archive "${location}")
      if(NOT EXISTS ${archive})
        message(FATAL_ERROR "PENSTOCK_STATIC_DEPS: ${archive} is missing; configure with -DPENSTOCK_STATIC_DEPS=OFF")
      endif()
      set_target_properties(${target} PROPERTIES IMPORTED_LOCATION_${configuration} ${archive})
    endforeach()
  endif()
endforeach()
# A forwarded request allocates some hundred times, most of it freed in the same thread. Sanitizers have an
# allocator of their own: they build against shared libraries, without this.
find_library(PENSTOCK_JEMALLOC libjemalloc_pic.a REQUIRED)
add_library(penstock_allocator_options OBJECT ${CMAKE_SOURCE_DIR}/common/allocator_options.cc)
set(PENSTOCK_ALLOCATOR penstock_allocator_options ${PENSTOCK_JEMALLOC})
# The archive does not say that it needs zlib.
set_property(TARGET protobuf::libprotobuf APPEND PROPERTY INTERFACE_LINK_LIBRARIES ZLIB::ZLIB)
