// JSON from files that nobody vouches for.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace attune::io {

/// Parses a whole JSON text. `where` is the file's path, for messages.
/// @throws Error naming the byte if it is no JSON, if an object has a key twice, or if it nests
/// deeper than 128 levels.
nlohmann::json parse_json(std::string_view text, const std::filesystem::path& where);

/// The same of a file's content.
nlohmann::json read_json(const std::filesystem::path& path);

/// What the parser says, without its tags and cut to a length that fits a message.
std::string json_reason(const nlohmann::json::exception& error);

/// What a JSON value is, for messages: "an object", "a number" and so on.
std::string_view json_type(const nlohmann::json& value);

}  // namespace attune::io
