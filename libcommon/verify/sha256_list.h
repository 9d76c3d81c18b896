// Lists of SHA-256 digests as sha256sum writes them ("<64 hex>  name", "\\" before a line whose
// name is escaped, "*" before a binary name) and as BSD and openssl do ("SHA256 (name) = <64
// hex>").
#pragma once

#include <string_view>

#include "base/result.h"
#include "verify/manifest.h"

namespace slim {

// Files by name, "./" in front taken off. A name that leaves the checkpoint, a line that is neither
// empty nor a comment nor an entry, and two digests for one file are MAN-malformed.
Result<Manifest> ParseSha256List(std::string_view text);

// A relative path without empty, "." or ".." parts.
Status CheckManifestName(std::string_view name);
// `digits` hexadecimal digits of either case.
bool IsHexDigest(std::string_view text, size_t digits);

}  // namespace slim
