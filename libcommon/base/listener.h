// How library code talks while it works without owning a stream: notes for people and progress in
// bytes. cli prints; tests record; the default does nothing.
#pragma once

#include <cstdint>
#include <string_view>

namespace slim {

class Listener {
 public:
  virtual ~Listener() = default;
  virtual void Note(std::string_view /*text*/) {}
  virtual void Warning(std::string_view /*text*/) {}
  // `done` of `total` units of `what`; called from one thread at a time.
  virtual void Progress(std::string_view /*what*/, uint64_t /*done*/, uint64_t /*total*/) {}
};

Listener& SilentListener();

}  // namespace slim
