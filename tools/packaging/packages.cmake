# Debian packages by CPack, one a component of the installation (cmake/SlimBuild.cmake):
#   cmake --build build/release && cpack -G DEB --config build/release/CPackConfig.cmake -B dist
# slim-tools, libslim0 and libslim-dev. The same tree and SOURCE_DATE_EPOCH give the same bytes.
set(doc ${CMAKE_INSTALL_DATAROOTDIR}/doc)
foreach(pair tools:slim-tools library:libslim0 dev:libslim-dev)
  string(REPLACE ":" ";" pair ${pair})
  list(GET pair 0 component)
  list(GET pair 1 package)
  install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${doc}/${package} RENAME copyright COMPONENT ${component})
endforeach()
# What the programs are made of, as SPDX; asked of dpkg when it is installed, so a build elsewhere does without.
install(CODE "execute_process(COMMAND python3 ${PROJECT_SOURCE_DIR}/tools/packaging/sbom.py
                ${PROJECT_VERSION} ${PROJECT_BINARY_DIR}/bin ${PROJECT_BINARY_DIR}/sbom.spdx.json COMMAND_ERROR_IS_FATAL ANY)"
        COMPONENT tools)
install(FILES ${PROJECT_BINARY_DIR}/sbom.spdx.json DESTINATION ${doc}/slim-tools COMPONENT tools)

set(CPACK_PACKAGE_NAME slim)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "the slim authors <slim@localhost>")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL tools library dev)
set(CPACK_COMPONENT_TOOLS_DESCRIPTION "slim-quant, slim-convert, slim-verify, slim-diff and slim-run")
set(CPACK_COMPONENT_LIBRARY_DESCRIPTION "libslim, the library behind the programs")
set(CPACK_COMPONENT_DEV_DESCRIPTION "headers of libslim, for find_package(slim) and pkg-config")
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_TOOLS_PACKAGE_NAME slim-tools)
set(CPACK_DEBIAN_TOOLS_PACKAGE_SECTION science)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_NAME libslim0)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_DEV_PACKAGE_NAME libslim-dev)
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEV_PACKAGE_DEPENDS "libslim0 (= ${PROJECT_VERSION})")
include(CPack)
