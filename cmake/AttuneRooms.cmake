# The rooms, in the order of the table in docs/ARCHITECTURE.md. A room may use what stands above it.
function(attune_room name)
  file(GLOB inhabitants "${CMAKE_SOURCE_DIR}/attune/${name}/*.cpp" "${CMAKE_SOURCE_DIR}/attune/${name}/*.h")
  if(inhabitants)
    attune_library(${name} ${ARGN})
  endif()
endfunction()

attune_room(core PLAIN LIBS PkgConfig::xxhash Threads::Threads)
attune_room(config PLAIN DEPS core LIBS yaml-cpp)
attune_room(io PLAIN DEPS core LIBS nlohmann_json::nlohmann_json ZLIB::ZLIB)
attune_room(text PLAIN DEPS core io LIBS PkgConfig::pcre2 utf8proc nlohmann_json::nlohmann_json)
attune_room(data PLAIN DEPS core config io text LIBS nlohmann_json::nlohmann_json)
attune_room(report PLAIN DEPS core config LIBS nlohmann_json::nlohmann_json)
attune_room(tensor TENSOR DEPS core io)
attune_room(nn TENSOR DEPS core tensor PCH)
attune_room(adapter TENSOR DEPS core config io tensor nn LIBS nlohmann_json::nlohmann_json PCH)
attune_room(model TENSOR DEPS core config io tensor nn adapter
            LIBS nlohmann_json::nlohmann_json PCH)
attune_room(objective TENSOR DEPS core config tensor)
attune_room(optim TENSOR DEPS core config tensor)
attune_room(generate TENSOR DEPS core config io text tensor nn adapter model)
attune_room(train TENSOR DEPS core config io text data report tensor nn adapter model objective
            optim generate LIBS nlohmann_json::nlohmann_json PCH)
