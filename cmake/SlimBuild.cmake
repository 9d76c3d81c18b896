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

# libslim.so: every layer but cli, which belongs to the programs. Only the public interface (slim/slim.h) leaves it.
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
  target_include_directories(slim INTERFACE
                             $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/slim-${PROJECT_VERSION_MAJOR}>)
  target_compile_features(slim INTERFACE cxx_std_20)
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
  install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT tools)
  slim_completions(${name})
endfunction()

# The completion scripts that the program prints, made when it is built; not in a cross build, where it cannot run.
function(slim_completions name)
  if(CMAKE_CROSSCOMPILING)
    return()
  endif()
  set(folder ${PROJECT_BINARY_DIR}/completions)
  file(MAKE_DIRECTORY ${folder})
  foreach(shell bash zsh fish)
    list(APPEND commands COMMAND ${name} --completion ${shell} > ${folder}/${name}.${shell})
  endforeach()
  add_custom_command(TARGET ${name} POST_BUILD ${commands} VERBATIM)
  set(share ${CMAKE_INSTALL_DATADIR})
  install(FILES ${folder}/${name}.bash DESTINATION ${share}/bash-completion/completions RENAME ${name} COMPONENT tools)
  install(FILES ${folder}/${name}.zsh DESTINATION ${share}/zsh/vendor-completions RENAME _${name} COMPONENT tools)
  install(FILES ${folder}/${name}.fish DESTINATION ${share}/fish/vendor_completions.d COMPONENT tools)
endfunction()

# What is installed, in three components: tools (programs, pages, completions, data), library (libslim.so.N) and dev.
function(slim_install)
  set(data ${CMAKE_INSTALL_DATADIR}/slim)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/schemas ${PROJECT_SOURCE_DIR}/presets
                    ${PROJECT_SOURCE_DIR}/man/guides ${PROJECT_SOURCE_DIR}/testdata/calibration
          DESTINATION ${data} COMPONENT tools)
  foreach(section 1 5)
    file(GLOB pages CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/man/*.${section})
    install(FILES ${pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section} COMPONENT tools)
  endforeach()
  slim_install_library()
endfunction()

function(slim_install_library)
  set(headers ${CMAKE_INSTALL_INCLUDEDIR}/slim-${PROJECT_VERSION_MAJOR})
  set(package ${CMAKE_INSTALL_LIBDIR}/cmake/slim)
  install(TARGETS slim EXPORT slimTargets
          LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library NAMELINK_COMPONENT dev)
  install(FILES libcommon/slim/slim.h DESTINATION ${headers}/slim COMPONENT dev)
  install(FILES libcommon/base/error.h libcommon/base/listener.h libcommon/base/result.h
          DESTINATION ${headers}/base COMPONENT dev)
  install(EXPORT slimTargets NAMESPACE slim:: FILE slimConfig.cmake DESTINATION ${package} COMPONENT dev)
  include(CMakePackageConfigHelpers)
  write_basic_package_version_file(${PROJECT_BINARY_DIR}/slimConfigVersion.cmake COMPATIBILITY SameMajorVersion)
  install(FILES ${PROJECT_BINARY_DIR}/slimConfigVersion.cmake DESTINATION ${package} COMPONENT dev)
  # The prefix is where the file lies: it may be installed with another --prefix than configured.
  file(RELATIVE_PATH up /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
  configure_file(cmake/slim.pc.in slim.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/slim.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT dev)
endfunction()
