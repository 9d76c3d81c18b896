#include "run/pth_file.h"

#include <fmt/format.h>

#include <array>
#include <cassert>
#include <vector>

#include "base/bytes.h"  // little-endian, checked at compile time

namespace slim {
namespace {

// CRC-32 of zip (reflected polynomial 0xEDB88320).
uint32_t Crc32(std::string_view bytes) {
  static const std::array<uint32_t, 256> table = [] {
    std::array<uint32_t, 256> values{};
    for (uint32_t i = 0; i < values.size(); ++i) {
      uint32_t value = i;
      for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) * 0xEDB88320U);
      values[i] = value;
    }
    return values;
  }();
  uint32_t crc = 0xFFFFFFFFU;
  for (const char c : bytes) crc = (crc >> 8) ^ table[(crc ^ static_cast<unsigned char>(c)) & 0xFF];
  return crc ^ 0xFFFFFFFFU;
}

void Append(std::string& out, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i, value >>= 8) out += static_cast<char>(value & 0xFF);
}

// Stored entries only, all times 1980-01-01: equal content gives equal bytes.
class ZipWriter {
 public:
  void Add(const std::string& name, std::string_view content) {
    entries_.push_back({name, Crc32(content), content.size(), out_.size()});
    Append(out_, 0x04034b50, 4);
    AppendEntry(out_, entries_.back());
    Append(out_, 0, 2);  // no extra field
    out_ += name;
    out_ += content;
  }

  std::string Finish() {
    const uint64_t directory = out_.size();
    for (const Entry& entry : entries_) {
      Append(out_, 0x02014b50, 4);
      Append(out_, 0, 2);  // made by
      AppendEntry(out_, entry);
      Append(out_, 0, 2 + 2 + 2 + 2 + 4);  // extra, comment, disk, attributes
      Append(out_, entry.offset, 4);
      out_ += entry.name;
    }
    const uint64_t size = out_.size() - directory;
    Append(out_, 0x06054b50, 4);
    Append(out_, 0, 4);  // disks
    Append(out_, entries_.size(), 2);
    Append(out_, entries_.size(), 2);
    Append(out_, size, 4);
    Append(out_, directory, 4);
    Append(out_, 0, 2);  // no comment
    return std::move(out_);
  }

 private:
  struct Entry {
    std::string name;
    uint32_t crc;
    uint64_t size;
    uint64_t offset;
  };
  // What the local header and the directory have in common: version needed to length of the name.
  static void AppendEntry(std::string& out, const Entry& entry) {
    constexpr uint64_t kFirstDay = 0x21;  // 1980-01-01
    Append(out, 10, 2);
    Append(out, 0, 2 + 2 + 2);  // flags, method stored, time
    Append(out, kFirstDay, 2);
    Append(out, entry.crc, 4);
    Append(out, entry.size, 4);
    Append(out, entry.size, 4);
    Append(out, entry.name.size(), 2);
  }

  std::string out_;
  std::vector<Entry> entries_;
};

// Opcodes of pickle protocol 2.
void AppendInteger(std::string& out, uint64_t value) {
  out += 'J';  // BININT
  Append(out, value, 4);
}

void AppendText(std::string& out, std::string_view text) {
  out += 'X';  // BINUNICODE
  Append(out, text.size(), 4);
  out += text;
}

void AppendTuple(std::string& out, const Shape& values) {
  out += '(';
  for (const uint64_t value : values) AppendInteger(out, value);
  out += 't';
}

// _rebuild_tensor_v2(storage, 0, shape, strides, False, OrderedDict())
std::string TensorPickle(const Shape& shape, uint64_t elements) {
  Shape strides(shape.size(), 1);
  for (size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * shape[i];
  std::string out =
      "\x80\x02"
      "ctorch._utils\n_rebuild_tensor_v2\n((";
  AppendText(out, "storage");
  out += "ctorch\nFloatStorage\n";
  AppendText(out, "0");
  AppendText(out, "cpu");
  AppendInteger(out, elements);
  out += "tQ";
  AppendInteger(out, 0);
  AppendTuple(out, shape);
  AppendTuple(out, strides);
  out +=
      "\x89"
      "ccollections\nOrderedDict\n)RtR.";
  return out;
}

}  // namespace

Result<std::string> EncodePthFile(const Shape& shape, std::span<const float> values) {
  constexpr uint64_t kMost = (uint64_t{1} << 30) - (1 << 20);  // a zip of 4 GiB holds it
  uint64_t elements = 1;
  for (const uint64_t size : shape) elements *= size;
  assert(elements == values.size());
  if (elements > kMost) {
    return InputError("RUN-dump-size",
                      fmt::format("a tensor of {} values is too large for a .pth file", elements),
                      "use --dump-format safetensors, or a shorter prompt");
  }
  ZipWriter zip;
  zip.Add("archive/data.pkl", TensorPickle(shape, elements));
  zip.Add("archive/byteorder", "little");
  const auto bytes = std::as_bytes(values);
  zip.Add("archive/data/0",
          std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  zip.Add("archive/version", "3\n");
  return zip.Finish();
}

}  // namespace slim
