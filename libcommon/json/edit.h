// Edits of a JSON document that leave every byte outside the edited member as it was: config.json
// belongs to the user, so a tool that sets one key must not reformat the rest.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace slim {

// Sets a member of the top-level object to `value_text` (JSON): in place when the key exists, else
// as the last member in the document's own indentation. RemoveMember undoes an appended member
// exactly.
Result<std::string> SetMember(std::string_view document, std::string_view key,
                              std::string_view value_text);

// Removes a member of the top-level object with its comma; the document itself when there is no
// such key.
Result<std::string> RemoveMember(std::string_view document, std::string_view key);

// Gives a member of the top-level object another key, in place; the document itself when there is
// no such key. A key that exists already is an error (JSON-duplicate-key).
Result<std::string> RenameMember(std::string_view document, std::string_view key,
                                 std::string_view new_key);

}  // namespace slim
