// What the standard streams are, and writing them so that a full disk or a closed descriptor is
// noticed.
#pragma once

#include <string_view>

#include "base/result.h"

namespace slim {

enum class Stream { kOut = 1, kErr = 2 };

bool IsTerminal(Stream stream);
int TerminalColumns();  // 80 when unknown
// Everything or an error; EPIPE raises SIGPIPE's default action first.
Status WriteStream(Stream stream, std::string_view text);
// Flushes and closes standard output; an error such as ENOSPC appears here at the latest.
Status CloseStandardOutput();
// Opens /dev/null on descriptors 0 to 2 that the parent closed, so that no output file gets their
// numbers. A closed standard output is remembered and makes every write to it fail.
void GuardStandardDescriptors();

}  // namespace slim
