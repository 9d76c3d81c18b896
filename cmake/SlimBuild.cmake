# The functions CMakeLists.txt is written in: a layer, the library, a tool, what is installed.

add_library(slim_options INTERFACE)
target_compile_options(slim_options INTERFACE -Wall -Wextra -Wconversion -Wshadow -Werror
                       -ffp-contract=off -fvisibility=default)
target_include_directories(slim_options INTERFACE
                           $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/libcommon>)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  # Every object is built for this baseline; faster paths are chosen at run time, per function.
  target_compile_options(slim_options INTERFACE -march=x86-64-v2)
endif()
if(SLIM_SANITIZE)
  target_compile_options(slim_options INTERFACE -fsanitize=${SLIM_SANITIZE}
                         -fno-omit-frame-pointer -fno-sanitize-recover=all -g1)
  target_link_options(slim_options INTERFACE -fsanitize=${SLIM_SANITIZE})
endif()

set(SLIM_LAYERS "")

# slim_layer(NAME [USES layer...] [LINK target...]): libcommon/NAME/**.cc as one static library.
function(slim_layer name)
  cmake_parse_arguments(L "" "" "USES;LINK" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/libcommon/${name}/*.cc)
  if(NOT sources)
    return()
  endif()
  add_library(slim_${name} STATIC ${sources})
  target_link_libraries(slim_${name} PUBLIC slim_options)
  foreach(used ${L_USES})
    if(TARGET slim_${used})
      target_link_libraries(slim_${name} PUBLIC slim_${used})
    endif()
  endforeach()
  target_link_libraries(slim_${name} PUBLIC ${L_LINK})
  set(SLIM_LAYERS ${SLIM_LAYERS} ${name} PARENT_SCOPE)
endfunction()

# libslim.so: every layer but cli, which belongs to the programs. Only names in namespace slim leave it.
function(slim_library)
  set(layers ${SLIM_LAYERS})
  list(REMOVE_ITEM layers cli)
  list(TRANSFORM layers PREPEND slim_)
  # Made of the layers' objects; the layers themselves are linked for the third-party libraries they bring.
  add_library(slim SHARED)
  foreach(layer ${layers})
    target_sources(slim PRIVATE $<TARGET_OBJECTS:${layer}>)
  endforeach()
  set_target_properties(slim PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION 0 LINKER_LANGUAGE CXX)
  target_link_libraries(slim PRIVATE ${layers})
  target_link_options(slim PRIVATE
                      "-Wl,--version-script,${PROJECT_SOURCE_DIR}/libcommon/libslim.map")
  set_target_properties(slim PROPERTIES LINK_DEPENDS ${PROJECT_SOURCE_DIR}/libcommon/libslim.map)
endfunction()

# slim_tool(NAME): tools/NAME/*.cc, linked against the layers directly, so that one file is the program.
function(slim_tool name)
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tools/${name}/*.cc)
  if(NOT sources)
    return()
  endif()
  add_executable(${name} ${sources})
  list(TRANSFORM SLIM_LAYERS PREPEND slim_ OUTPUT_VARIABLE libraries)
  target_link_libraries(${name} PRIVATE ${libraries})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
  install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endfunction()

function(slim_install)
  install(TARGETS slim LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/libcommon/
          DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/slim
          FILES_MATCHING PATTERN "*.h" PATTERN "*.def")
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/schemas ${PROJECT_SOURCE_DIR}/presets DESTINATION ${CMAKE_INSTALL_DATADIR}/slim)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/man/guides DESTINATION ${CMAKE_INSTALL_DATADIR}/slim)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/testdata/calibration
          DESTINATION ${CMAKE_INSTALL_DATADIR}/slim)
  foreach(section 1 5)
    file(GLOB pages CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/man/*.${section})
    install(FILES ${pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
  endforeach()
endfunction()
