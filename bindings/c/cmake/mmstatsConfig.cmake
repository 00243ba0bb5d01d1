# find_package(mmstats): targets mmstats::mmstats (shared) and mmstats::static.
get_filename_component(_mmstats_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
find_package(Threads REQUIRED)

if(NOT TARGET mmstats::mmstats)
    add_library(mmstats::mmstats SHARED IMPORTED)
    set_target_properties(mmstats::mmstats PROPERTIES
        IMPORTED_LOCATION "${_mmstats_prefix}/lib/libmmstats_c${CMAKE_SHARED_LIBRARY_SUFFIX}"
        IMPORTED_NO_SONAME TRUE
        INTERFACE_COMPILE_FEATURES c_std_99
        INTERFACE_INCLUDE_DIRECTORIES "${_mmstats_prefix}/include")

    add_library(mmstats::static STATIC IMPORTED)
    set_target_properties(mmstats::static PROPERTIES
        IMPORTED_LOCATION "${_mmstats_prefix}/lib/libmmstats_c.a"
        INTERFACE_COMPILE_FEATURES c_std_99
        INTERFACE_INCLUDE_DIRECTORIES "${_mmstats_prefix}/include"
        INTERFACE_LINK_LIBRARIES "Threads::Threads;${CMAKE_DL_LIBS};m")
endif()
unset(_mmstats_prefix)
