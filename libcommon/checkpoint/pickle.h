// Python pickles read as data: opcodes of a whitelist build plain nodes, calls are remembered and
// never made, and every global that the caller does not expect is refused by name before anything
// else happens. Nothing is imported, nothing is executed. Knows neither torch nor numpy.
// Facts: ecosystem.md 1.3 I, reliability.md 4.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace slim {

// Bytes by position: a part of a file, or memory.
struct ByteSource {
  uint64_t size = 0;
  std::function<Status(std::span<std::byte> to, uint64_t offset)> read;

  static ByteSource Of(std::span<const std::byte> memory);     // which outlives it
  ByteSource Part(uint64_t offset, uint64_t part_size) const;  // inside of it
};

using PickleRef = uint32_t;
inline constexpr PickleRef kNoPickle = UINT32_MAX;

struct PickleNode {
  enum class Kind : uint8_t {
    kNone,
    kBool,        // integer
    kInteger,     // integer
    kReal,        // real
    kText,        // text
    kBytes,       // offset, size: where they stand in the source
    kTuple,       // items
    kList,        // items
    kDict,        // items: key, value, key, value, …
    kGlobal,      // text: "module.name"
    kCall,        // items: callee (a global), arguments (a tuple); state
    kPersistent,  // items: the id
  };
  Kind kind = Kind::kNone;
  int64_t integer = 0;
  double real = 0;
  uint64_t offset = 0;
  uint64_t size = 0;
  PickleRef state = kNoPickle;  // that __setstate__ would be given
  std::string text;
  std::vector<PickleRef> items;
};

// Nodes refer to each other by position and may form cycles: walk what you know the form of.
struct Pickle {
  std::vector<PickleNode> nodes;
  PickleRef root = kNoPickle;
  uint64_t end = 0;  // offset after the STOP

  const PickleNode& operator[](PickleRef ref) const { return nodes[ref]; }
  const PickleNode& Root() const { return nodes[root]; }
  // The member of a dict by a text key, or null.
  const PickleNode* Find(const PickleNode& dict, std::string_view key) const;
};

// The pickle that begins at `offset`. `is_known` says which globals ("torch.FloatStorage") may
// occur. collections.OrderedDict is a dict. Rules PK-…: PK-global, PK-opcode, PK-truncated,
// PK-stack, PK-limit.
Result<Pickle> ReadPickle(const ByteSource& source, uint64_t offset,
                          const std::function<bool(std::string_view global)>& is_known);

}  // namespace slim
