#include "checkpoint/zip.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <unordered_set>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/text.h"

namespace slim {
namespace {

constexpr uint32_t kLocalMark = 0x04034B50;
constexpr uint32_t kEntryMark = 0x02014B50;
constexpr uint32_t kEndMark = 0x06054B50;
constexpr uint32_t kEnd64Mark = 0x06064B50;
constexpr uint32_t kLocator64Mark = 0x07064B50;
constexpr uint64_t kLocalBytes = 30;
constexpr uint64_t kEntryBytes = 46;
constexpr uint64_t kEndBytes = 22;
constexpr uint64_t kEnd64Bytes = 56;
constexpr uint64_t kLocator64Bytes = 20;
constexpr uint64_t kLongestComment = 65535;
constexpr uint64_t kMostDirectoryBytes = 256ULL << 20;

struct Directory {
  uint64_t entries = 0;
  uint64_t offset = 0;
  uint64_t size = 0;
};

template <class T>
T At(std::span<const std::byte> bytes, uint64_t offset) {
  return LoadLe<T>(bytes.data() + offset);
}

Error Bad(std::string_view rule, std::string message) {
  return InputError(std::string(rule), std::move(message));
}

Result<std::vector<std::byte>> ReadAt(const ByteSource& source, uint64_t offset, uint64_t size) {
  if (offset > source.size || size > source.size - offset)
    return Bad("ZIP-directory", "an offset of the archive leaves the file");
  std::vector<std::byte> bytes(size);
  SLIM_TRY(source.read(bytes, offset));
  return bytes;
}

Result<Directory> Directory64(const ByteSource& source, uint64_t locator_at) {
  SLIM_ASSIGN(const auto locator, ReadAt(source, locator_at, kLocator64Bytes));
  if (At<uint32_t>(locator, 0) != kLocator64Mark)
    return Bad("ZIP-end", "the archive's zip64 locator is missing");
  const auto record_at = At<uint64_t>(locator, 8);
  SLIM_ASSIGN(const auto record, ReadAt(source, record_at, kEnd64Bytes));
  if (At<uint32_t>(record, 0) != kEnd64Mark)
    return Bad("ZIP-end", "the archive's zip64 end record is missing");
  return Directory{At<uint64_t>(record, 32), At<uint64_t>(record, 48), At<uint64_t>(record, 40)};
}

// The last record that reaches exactly to the end of the file.
Result<Directory> FindDirectory(const ByteSource& source) {
  const uint64_t tail = std::min(source.size, kEndBytes + kLongestComment);
  SLIM_ASSIGN(const auto bytes, ReadAt(source, source.size - tail, tail));
  for (uint64_t left = kEndBytes; left <= tail; ++left) {
    const uint64_t at = tail - left;
    if (At<uint32_t>(bytes, at) != kEndMark || At<uint16_t>(bytes, at + 20) != left - kEndBytes)
      continue;
    const Directory directory{At<uint16_t>(bytes, at + 10), At<uint32_t>(bytes, at + 16),
                              At<uint32_t>(bytes, at + 12)};
    const bool is64 = directory.entries == UINT16_MAX || directory.offset == UINT32_MAX ||
                      directory.size == UINT32_MAX;
    const uint64_t end_at = source.size - left;
    if (!is64) return directory;
    if (end_at < kLocator64Bytes) return Bad("ZIP-end", "the archive's zip64 locator is missing");
    return Directory64(source, end_at - kLocator64Bytes);
  }
  return Bad("ZIP-end", "the archive has no end record (truncated download?)");
}

// Sizes and offset of an entry, where 32 bits do not do.
struct Sizes {
  uint64_t stored = 0;
  uint64_t plain = 0;
  uint64_t local_at = 0;
};

bool Widen(std::span<const std::byte> extra, Sizes& sizes) {
  constexpr uint16_t kZip64 = 1;
  for (uint64_t at = 0; at + 4 <= extra.size();) {
    const uint64_t size = At<uint16_t>(extra, at + 2);
    if (size > extra.size() - at - 4) return false;
    if (At<uint16_t>(extra, at) != kZip64) {
      at += 4 + size;
      continue;
    }
    uint64_t field = at + 4;
    for (uint64_t* value : {&sizes.plain, &sizes.stored, &sizes.local_at}) {
      if (*value != UINT32_MAX) continue;
      if (field + 8 > at + 4 + size) return false;
      *value = At<uint64_t>(extra, field);
      field += 8;
    }
    return true;
  }
  return sizes.plain != UINT32_MAX && sizes.stored != UINT32_MAX && sizes.local_at != UINT32_MAX;
}

// The entry at `at` of the directory; moves `at` on.
Result<ZipEntry> ReadEntry(const ByteSource& source, std::span<const std::byte> directory,
                           uint64_t& at) {
  if (kEntryBytes > directory.size() - at || At<uint32_t>(directory, at) != kEntryMark)
    return Bad("ZIP-directory", "the archive's directory is damaged");
  const uint64_t name_size = At<uint16_t>(directory, at + 28);
  const uint64_t extra_size = At<uint16_t>(directory, at + 30);
  const uint64_t whole = kEntryBytes + name_size + extra_size + At<uint16_t>(directory, at + 32);
  if (whole > directory.size() - at)
    return Bad("ZIP-directory", "the archive's directory is damaged");
  ZipEntry entry;
  entry.name.assign(reinterpret_cast<const char*>(directory.data() + at + kEntryBytes), name_size);
  const auto fail = [&](std::string_view rule, std::string_view why) {
    return Bad(rule, fmt::format("entry {} {}", Quote(entry.name), why));
  };
  Sizes sizes{At<uint32_t>(directory, at + 20), At<uint32_t>(directory, at + 24),
              At<uint32_t>(directory, at + 42)};
  if (!Widen(directory.subspan(at + kEntryBytes + name_size, extra_size), sizes))
    return fail("ZIP-entry", "has a damaged zip64 field");
  const uint16_t flags = At<uint16_t>(directory, at + 8);
  const uint16_t method = At<uint16_t>(directory, at + 10);
  if ((flags & 1) != 0) return fail("ZIP-entry", "is encrypted");
  if (method != 0 || sizes.stored != sizes.plain)
    return fail("ZIP-compressed", "is compressed; torch.save stores its entries plainly");
  at += whole;
  SLIM_ASSIGN(const auto local, ReadAt(source, sizes.local_at, kLocalBytes));
  const uint64_t local_name = At<uint16_t>(local, 26);
  SLIM_ASSIGN(const auto name, ReadAt(source, sizes.local_at + kLocalBytes, local_name));
  const std::string_view named(reinterpret_cast<const char*>(name.data()), name.size());
  if (At<uint32_t>(local, 0) != kLocalMark || At<uint16_t>(local, 8) != 0 || named != entry.name)
    return fail("ZIP-entry", "is another one where its data stands");
  entry.offset = sizes.local_at + kLocalBytes + local_name + At<uint16_t>(local, 28);
  entry.size = sizes.plain;
  if (entry.offset > source.size || entry.size > source.size - entry.offset)
    return fail("ZIP-entry", "leaves the file");
  return entry;
}

}  // namespace

Result<std::vector<ZipEntry>> ReadZipEntries(const ByteSource& source) {
  SLIM_ASSIGN(const Directory where, FindDirectory(source));
  if (where.entries > where.size / kEntryBytes || where.size > kMostDirectoryBytes)
    return Bad("ZIP-directory", fmt::format("claims {} entries in {} bytes of directory",
                                            where.entries, where.size));
  SLIM_ASSIGN(const auto directory, ReadAt(source, where.offset, where.size));
  std::vector<ZipEntry> entries;
  std::unordered_set<std::string> names;
  uint64_t at = 0;
  for (uint64_t i = 0; i < where.entries; ++i) {
    SLIM_ASSIGN(ZipEntry entry, ReadEntry(source, directory, at));
    if (!names.insert(entry.name).second)
      return Bad("ZIP-duplicate", fmt::format("entry {} occurs twice", Quote(entry.name)));
    entries.push_back(std::move(entry));
  }
  std::vector<const ZipEntry*> order;
  for (const ZipEntry& entry : entries) order.push_back(&entry);
  std::ranges::sort(order, {},
                    [](const ZipEntry* entry) { return std::pair(entry->offset, entry->size); });
  for (size_t i = 1; i < order.size(); ++i) {
    if (order[i - 1]->offset + order[i - 1]->size > order[i]->offset) {
      return Bad("ZIP-overlap", fmt::format("entries {} and {} overlap", Quote(order[i - 1]->name),
                                            Quote(order[i]->name)));
    }
  }
  return entries;
}

}  // namespace slim
