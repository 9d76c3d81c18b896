// Finding one of many names by hashing: 90 000 tensor names are looked up several times by the
// tools. Holds positions only; the names stay where their owner keeps them, who hands in how to
// read one. Nothing is ever removed.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

namespace slim {

class NameTable {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  void Reserve(size_t names) {
    size_t slots = 16;
    while (slots < names * 2) slots *= 2;
    if (slots > slots_.size()) Grow(slots);
  }

  // The position of `name`, or kNone. name_at(position) is a name inserted earlier.
  template <class NameAt>
  uint32_t Find(std::string_view name, const NameAt& name_at) const {
    if (slots_.empty()) return kNone;
    const Slot& slot = slots_[Probe(name, HashOf(name), name_at)];
    return slot.position;
  }

  // found(i, Find(name_of(i))) for every i below `count`, in order. Several at a time: one alone
  // mostly waits for memory.
  template <class NameOf, class NameAt, class Found>
  void FindEach(size_t count, const NameOf& name_of, const NameAt& name_at,
                const Found& found) const {
    if (slots_.empty()) {
      for (size_t i = 0; i < count; ++i) found(i, kNone);
      return;
    }
    constexpr size_t kAtATime = 16;
    std::array<std::string_view, kAtATime> names;
    std::array<uint32_t, kAtATime> hashes{};
    for (size_t begin = 0; begin < count; begin += kAtATime) {
      const size_t some = std::min(count - begin, kAtATime);
      for (size_t i = 0; i < some; ++i) {
        names[i] = name_of(begin + i);
        hashes[i] = HashOf(names[i]);
        __builtin_prefetch(&slots_[hashes[i] & (slots_.size() - 1)]);
      }
      for (size_t i = 0; i < some; ++i) {
        const Slot& slot = slots_[hashes[i] & (slots_.size() - 1)];
        if (slot.hash == hashes[i] && slot.position != kNone)
          __builtin_prefetch(std::string_view(name_at(slot.position)).data());
      }
      for (size_t i = 0; i < some; ++i)
        found(begin + i, slots_[Probe(names[i], hashes[i], name_at)].position);
    }
  }

  // Remembers `position` for `name` and returns it, or returns the position that the name has.
  template <class NameAt>
  uint32_t Insert(std::string_view name, uint32_t position, const NameAt& name_at) {
    if (slots_.size() < (used_ + 1) * 2) Reserve((used_ + 8) * 2);
    const uint32_t hash = HashOf(name);
    Slot& slot = slots_[Probe(name, hash, name_at)];
    if (slot.position == kNone) {
      slot = {hash, position};
      ++used_;
    }
    return slot.position;
  }

 private:
  struct Slot {
    uint32_t hash = 0;
    uint32_t position = kNone;
  };

  // Eight bytes at a time: hashing is a tenth of what headers cost otherwise.
  static uint32_t HashOf(std::string_view name) {
    constexpr uint64_t kFactor = 0x9FB21C651E98DF25ULL;
    uint64_t hash = name.size() * kFactor;
    const auto add = [&](uint64_t word) {
      hash = (hash ^ word) * kFactor;
      hash ^= hash >> 29;
    };
    while (name.size() >= sizeof(uint64_t)) {
      uint64_t word = 0;
      std::memcpy(&word, name.data(), sizeof word);
      add(word);
      name.remove_prefix(sizeof word);
    }
    uint64_t rest = 0;
    if (!name.empty()) std::memcpy(&rest, name.data(), name.size());
    add(rest);
    return static_cast<uint32_t>(hash ^ (hash >> 32));
  }

  template <class NameAt>
  size_t Probe(std::string_view name, uint32_t hash, const NameAt& name_at) const {
    const size_t mask = slots_.size() - 1;
    size_t i = hash & mask;
    while (slots_[i].position != kNone &&
           (slots_[i].hash != hash || std::string_view(name_at(slots_[i].position)) != name)) {
      i = (i + 1) & mask;
    }
    return i;
  }

  void Grow(size_t slots) {
    std::vector<Slot> old(slots);
    old.swap(slots_);
    const size_t mask = slots_.size() - 1;
    for (const Slot& slot : old) {
      if (slot.position == kNone) continue;
      size_t i = slot.hash & mask;
      while (slots_[i].position != kNone) i = (i + 1) & mask;
      slots_[i] = slot;
    }
  }

  std::vector<Slot> slots_;
  size_t used_ = 0;
};

// The position of the first of `count` names that an earlier one equals, or NameTable::kNone.
template <class NameAt>
uint32_t FirstRepeated(size_t count, const NameAt& name_at) {
  NameTable names;
  names.Reserve(count);
  for (uint32_t i = 0; i < count; ++i)
    if (names.Insert(name_at(i), i, name_at) != i) return i;
  return NameTable::kNone;
}

}  // namespace slim
