# What is installed, and the Debian packages that `cpack` makes of it: penstock-gateway,
# penstock-router, penstock-expert, penstock-cli. One build, four packages: a machine with a GPU
# runs experts alone, and one that asks needs the command line alone; all four are always of one
# version. `cmake --install` takes the programs. Configuration, units and the example's files stand
# at absolute places (the units name them), so that only packages hold them.
include(GNUInstallDirs)

set(PENSTOCK_SERVICES gateway router expert)
set(gateway_does "identity, admission, caching and forwarding of inference requests")
set(router_does "who answers an inference request, within its latency and energy budgets")
set(expert_does "models in batches by deadline, with the joules that they took")
set(cli_does "command line: ask, explain, train, plan, replay, and serve in one process")

# Beside the libraries, which are found by what programs load. A gateway and a router may have a
# store at rediss://, whose certificate is checked by the system's authorities: openssl has the
# folder in which the library looks for them, ca-certificates has them.
set(gateway_depends "adduser, ca-certificates, openssl")
set(router_depends "adduser, ca-certificates, openssl")
set(expert_depends "adduser")

# What the units differ in.
set(gateway_start_timeout 90)
set(router_start_timeout 90)
set(expert_start_timeout 600)
set(only_software "PrivateDevices=yes\nMemoryDenyWriteExecute=yes")
set(gateway_after "")
set(router_after "")
# It loads the driver and makes the devices that the unit may open. Where it is not installed the
# line says nothing.
set(expert_after " nvidia-persistenced.service")
set(gateway_devices "${only_software}")
set(router_devices "${only_software}")
set(expert_devices "# GPUs where there are any; their driver compiles kernels in memory.
DevicePolicy=closed
DeviceAllow=char-nvidia* rw")

set(packaging ${CMAKE_BINARY_DIR}/packaging)
install(TARGETS penstock RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT cli)
foreach(service ${PENSTOCK_SERVICES})
  set(does "${${service}_does}")
  set(devices "${${service}_devices}")
  set(after "${${service}_after}")
  set(start_timeout ${${service}_start_timeout})
  configure_file(deploy/systemd/penstock.service.in
                 ${packaging}/penstock-${service}.service @ONLY)
  foreach(script postinst prerm postrm)
    configure_file(deploy/debian/${script}.in ${packaging}/${service}/${script} @ONLY
                   FILE_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE
                                    WORLD_READ WORLD_EXECUTE)
  endforeach()
  file(CONFIGURE OUTPUT ${packaging}/${service}/conffiles CONTENT "/etc/penstock/${service}.yaml\n")

  install(TARGETS penstock-${service} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR}
          COMPONENT ${service})
  install(FILES ${packaging}/penstock-${service}.service DESTINATION lib/systemd/system
          COMPONENT ${service} EXCLUDE_FROM_ALL)
  install(FILES deploy/debian/config/${service}.yaml DESTINATION /etc/penstock
          COMPONENT ${service} EXCLUDE_FROM_ALL)
endforeach()
# The pool that the default configuration serves: small enough to come along.
install(DIRECTORY examples/digits/models DESTINATION share/penstock/digits
        COMPONENT expert EXCLUDE_FROM_ALL)
install(DIRECTORY examples/digits/router DESTINATION share/penstock/digits
        COMPONENT router EXCLUDE_FROM_ALL)

set(CPACK_GENERATOR DEB)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_ALL ${PENSTOCK_SERVICES} cli)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_PACKAGE_NAME penstock)
set(CPACK_PACKAGE_VENDOR Penstock)
set(CPACK_PACKAGE_CONTACT "The Penstock authors <authors@penstock.invalid>")
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
foreach(component ${CPACK_COMPONENTS_ALL})
  string(TOUPPER ${component} COMPONENT)
  install(FILES LICENSE DESTINATION share/doc/penstock-${component} RENAME copyright
          COMPONENT ${component} EXCLUDE_FROM_ALL)
  set(CPACK_DEBIAN_${COMPONENT}_PACKAGE_NAME penstock-${component})
  set(CPACK_DEBIAN_${COMPONENT}_DESCRIPTION "Penstock: ${${component}_does}")
  if(NOT component STREQUAL cli)
    set(CPACK_DEBIAN_${COMPONENT}_PACKAGE_DEPENDS "${${component}_depends}")
    set(CPACK_DEBIAN_${COMPONENT}_PACKAGE_SUGGESTS penstock-cli)
    set(CPACK_DEBIAN_${COMPONENT}_PACKAGE_CONTROL_EXTRA
        ${packaging}/${component}/postinst ${packaging}/${component}/prerm
        ${packaging}/${component}/postrm ${packaging}/${component}/conffiles)
  endif()
endforeach()
include(CPack)
