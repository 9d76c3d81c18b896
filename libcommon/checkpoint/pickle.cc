#include "checkpoint/pickle.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <memory>
#include <unordered_map>

#include "base/bytes.h"
#include "base/text.h"

namespace slim {
namespace {

constexpr size_t kMostNodes = 4'000'000;
constexpr uint64_t kLongestText = 1ULL << 20;
constexpr size_t kWindow = 1 << 16;
constexpr std::string_view kOrderedDict = "collections.OrderedDict";

// What makes objects, runs code or belongs to protocols that no checkpoint is written in: named in
// the refusal.
struct OpcodeName {
  uint8_t code;
  std::string_view name;
};
constexpr OpcodeName kRefused[] = {
    {'i', "INST"},         {'o', "OBJ"},
    {0x81, "NEWOBJ"},      {0x92, "NEWOBJ_EX"},
    {0x82, "EXT1"},        {0x83, "EXT2"},
    {0x84, "EXT4"},        {'P', "PERSID"},
    {0x97, "NEXT_BUFFER"}, {0x98, "READONLY_BUFFER"},
    {0x8F, "EMPTY_SET"},   {0x90, "ADDITEMS"},
    {0x91, "FROZENSET"},   {0x96, "BYTEARRAY8"},
    {'I', "INT"},          {'L', "LONG"},
    {'F', "FLOAT"},        {'S', "STRING"},
    {'V', "UNICODE"},      {'p', "PUT"},
    {'g', "GET"},          {0x8B, "LONG4"},
    {'2', "DUP"},
};

class Reader {
 public:
  Reader(const ByteSource& source, uint64_t offset,
         const std::function<bool(std::string_view)>& is_known)
      : source_(source), is_known_(is_known), position_(offset) {}

  Result<Pickle> Run();

 private:
  using Kind = PickleNode::Kind;

  Error Fail(std::string_view rule, std::string message, std::string hint = "") const {
    Error error = InputError(std::string(rule), std::move(message), std::move(hint));
    error.offset = opcode_at_;
    return error;
  }
  Status Take(void* to, size_t size);
  template <class T>
  Result<uint64_t> TakeSize();
  Status Push(PickleNode node);
  Status PushInteger(Kind kind, int64_t value);
  Status PushText(uint64_t size);
  Status PushBytes(uint64_t size);
  Status PushLong();
  Result<PickleRef> Pop();
  Result<std::vector<PickleRef>> PopToMark();
  Status PushTuple(size_t count);
  Status PushGlobal(std::string name);
  Status Line(std::string& out);
  Status Append(const std::vector<PickleRef>& items, Kind kind);
  Status Reduce();
  Status Build();
  Status Memoize(uint64_t index);
  Status Recall(uint64_t index);
  Status Step(uint8_t opcode);
  Status StepNumber(uint8_t opcode);
  Status StepText(uint8_t opcode);
  Status StepContainer(uint8_t opcode);
  Status StepMemo(uint8_t opcode);
  Status Refuse(uint8_t opcode) const;

  const ByteSource& source_;
  const std::function<bool(std::string_view)>& is_known_;
  uint64_t position_;
  uint64_t opcode_at_ = 0;
  uint64_t window_at_ = 0;
  std::vector<std::byte> window_;
  std::vector<PickleRef> stack_;
  std::vector<size_t> marks_;
  std::unordered_map<uint64_t, PickleRef> memo_;
  bool handled_ = false;
  Pickle pickle_;
};

Status Reader::Take(void* to, size_t size) {
  if (position_ > source_.size || size > source_.size - position_)
    return Fail("PK-truncated", "the pickle ends too early");
  if (size > kWindow) {
    SLIM_TRY(source_.read({static_cast<std::byte*>(to), size}, position_));
  } else {
    if (position_ < window_at_ || position_ + size > window_at_ + window_.size()) {
      window_.resize(std::min<uint64_t>(kWindow, source_.size - position_));
      window_at_ = position_;
      SLIM_TRY(source_.read(window_, position_));
    }
    std::memcpy(to, window_.data() + (position_ - window_at_), size);
  }
  position_ += size;
  return {};
}

template <class T>
Result<uint64_t> Reader::TakeSize() {
  T value = 0;
  SLIM_TRY(Take(&value, sizeof(T)));
  return static_cast<uint64_t>(value);
}

Status Reader::Push(PickleNode node) {
  if (pickle_.nodes.size() >= kMostNodes)
    return Fail("PK-limit", fmt::format("has more than {} values", kMostNodes));
  stack_.push_back(static_cast<PickleRef>(pickle_.nodes.size()));
  pickle_.nodes.push_back(std::move(node));
  return {};
}

Status Reader::PushInteger(Kind kind, int64_t value) {
  PickleNode node;
  node.kind = kind;
  node.integer = value;
  return Push(std::move(node));
}

Status Reader::PushText(uint64_t size) {
  if (size > kLongestText) return Fail("PK-limit", fmt::format("has a text of {} bytes", size));
  PickleNode node;
  node.kind = Kind::kText;
  node.text.resize(size);
  SLIM_TRY(Take(node.text.data(), size));
  if (!IsUtf8(node.text)) return Fail("PK-text", "has a text that is no UTF-8");
  return Push(std::move(node));
}

Status Reader::PushBytes(uint64_t size) {
  if (position_ > source_.size || size > source_.size - position_)
    return Fail("PK-truncated", "the pickle ends too early");
  PickleNode node;
  node.kind = Kind::kBytes;
  node.offset = position_;
  node.size = size;
  position_ += size;
  return Push(std::move(node));
}

// Little-endian two's complement; what does not fit is kept as bytes, which nobody takes for a
// size.
Status Reader::PushLong() {
  SLIM_ASSIGN(const uint64_t size, TakeSize<uint8_t>());
  if (size > 8) return PushBytes(size);
  uint8_t bytes[8] = {};
  SLIM_TRY(Take(bytes, size));
  if (size > 0 && (bytes[size - 1] & 0x80) != 0) std::memset(bytes + size, 0xFF, 8 - size);
  return PushInteger(Kind::kInteger, LoadLe<int64_t>(bytes));
}

Result<PickleRef> Reader::Pop() {
  const size_t floor = marks_.empty() ? 0 : marks_.back();
  if (stack_.size() <= floor) return Fail("PK-stack", "takes a value that is not there");
  const PickleRef top = stack_.back();
  stack_.pop_back();
  return top;
}

Result<std::vector<PickleRef>> Reader::PopToMark() {
  if (marks_.empty()) return Fail("PK-stack", "takes values down to a mark that is not there");
  std::vector<PickleRef> items(stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back()),
                               stack_.end());
  stack_.resize(marks_.back());
  marks_.pop_back();
  return items;
}

Status Reader::PushTuple(size_t count) {
  PickleNode node;
  node.kind = Kind::kTuple;
  for (size_t i = 0; i < count; ++i) {
    SLIM_ASSIGN(const PickleRef item, Pop());
    node.items.push_back(item);
  }
  std::ranges::reverse(node.items);
  return Push(std::move(node));
}

Status Reader::PushGlobal(std::string name) {
  if (name != kOrderedDict && !is_known_(name)) {
    return Fail("PK-global", fmt::format("names {}, which is not needed for tensors", Quote(name)),
                "nothing was executed; do not load this file with torch.load either");
  }
  PickleNode node;
  node.kind = Kind::kGlobal;
  node.text = std::move(name);
  return Push(std::move(node));
}

Status Reader::Line(std::string& out) {
  for (char c = 0; out.size() < 1024;) {
    SLIM_TRY(Take(&c, 1));
    if (c == '\n') return {};
    out += c;
  }
  return Fail("PK-limit", "has a global with a name of more than 1024 bytes");
}

// Onto the list or dict below.
Status Reader::Append(const std::vector<PickleRef>& items, Kind kind) {
  if (stack_.empty() || pickle_.nodes[stack_.back()].kind != kind)
    return Fail("PK-stack", "adds to what is no list or dict");
  if (kind == Kind::kDict && items.size() % 2 != 0)
    return Fail("PK-stack", "adds a key without a value");
  auto& to = pickle_.nodes[stack_.back()].items;
  to.insert(to.end(), items.begin(), items.end());
  return {};
}

Status Reader::Reduce() {
  SLIM_ASSIGN(const PickleRef arguments, Pop());
  SLIM_ASSIGN(const PickleRef callee, Pop());
  if (pickle_.nodes[callee].kind != Kind::kGlobal || pickle_.nodes[arguments].kind != Kind::kTuple)
    return Fail("PK-stack", "calls what is no function");
  PickleNode node;
  if (pickle_.nodes[callee].text == kOrderedDict) {
    if (!pickle_.nodes[arguments].items.empty())
      return Fail("PK-opcode", "makes an OrderedDict from arguments");
    node.kind = Kind::kDict;
  } else {
    node.kind = Kind::kCall;
    node.items = {callee, arguments};
  }
  return Push(std::move(node));
}

// The state of a dict (state_dict's _metadata) says nothing about tensors.
Status Reader::Build() {
  SLIM_ASSIGN(const PickleRef state, Pop());
  if (stack_.empty()) return Fail("PK-stack", "gives a state to nothing");
  PickleNode& object = pickle_.nodes[stack_.back()];
  if (object.kind == Kind::kDict) return {};
  if (object.kind != Kind::kCall) return Fail("PK-stack", "gives a state to what is no object");
  object.state = state;
  return {};
}

Status Reader::Memoize(uint64_t index) {
  if (stack_.empty()) return Fail("PK-stack", "remembers nothing");
  if (memo_.size() >= kMostNodes) return Fail("PK-limit", "remembers too many values");
  memo_[index] = stack_.back();
  return {};
}

Status Reader::Recall(uint64_t index) {
  const auto found = memo_.find(index);
  if (found == memo_.end()) return Fail("PK-stack", "recalls what was not remembered");
  if (stack_.size() >= kMostNodes) return Fail("PK-limit", "holds too many values");
  stack_.push_back(found->second);
  return {};
}

Status Reader::StepNumber(uint8_t opcode) {
  switch (opcode) {
    case 'N':
      return PushInteger(Kind::kNone, 0);
    case 0x88:
      return PushInteger(Kind::kBool, 1);
    case 0x89:
      return PushInteger(Kind::kBool, 0);
    case 'K': {
      SLIM_ASSIGN(const uint64_t value, TakeSize<uint8_t>());
      return PushInteger(Kind::kInteger, static_cast<int64_t>(value));
    }
    case 'M': {
      SLIM_ASSIGN(const uint64_t value, TakeSize<uint16_t>());
      return PushInteger(Kind::kInteger, static_cast<int64_t>(value));
    }
    case 'J': {
      SLIM_ASSIGN(const uint64_t value, TakeSize<uint32_t>());
      return PushInteger(Kind::kInteger, static_cast<int32_t>(static_cast<uint32_t>(value)));
    }
    case 0x8A:
      return PushLong();
    case 'G': {
      SLIM_ASSIGN(const uint64_t value, TakeSize<uint64_t>());
      PickleNode node;
      node.kind = Kind::kReal;
      node.real = std::bit_cast<double>(__builtin_bswap64(value));
      return Push(std::move(node));
    }
    default:
      handled_ = false;
      return {};
  }
}

Status Reader::StepText(uint8_t opcode) {
  const bool is_text = opcode == 'X' || opcode == 0x8C || opcode == 0x8D;
  uint64_t size = 0;
  switch (opcode) {
    case 0x8C:
    case 'C':
    case 'U': {
      SLIM_ASSIGN(size, TakeSize<uint8_t>());
      break;
    }
    case 'X':
    case 'B':
    case 'T': {
      SLIM_ASSIGN(size, TakeSize<uint32_t>());
      break;
    }
    case 0x8D:
    case 0x8E: {
      SLIM_ASSIGN(size, TakeSize<uint64_t>());
      break;
    }
    case 'c': {
      std::string module;
      std::string name;
      SLIM_TRY(Line(module));
      SLIM_TRY(Line(name));
      return PushGlobal(module + "." + name);
    }
    case 0x93: {
      SLIM_ASSIGN(const PickleRef name, Pop());
      SLIM_ASSIGN(const PickleRef module, Pop());
      if (pickle_.nodes[name].kind != Kind::kText || pickle_.nodes[module].kind != Kind::kText)
        return Fail("PK-stack", "names a global by what is no text");
      return PushGlobal(pickle_.nodes[module].text + "." + pickle_.nodes[name].text);
    }
    default:
      handled_ = false;
      return {};
  }
  return is_text ? PushText(size) : PushBytes(size);
}

Status Reader::StepContainer(uint8_t opcode) {
  PickleNode node;
  switch (opcode) {
    case ')':
      return PushTuple(0);
    case 0x85:
      return PushTuple(1);
    case 0x86:
      return PushTuple(2);
    case 0x87:
      return PushTuple(3);
    case 't': {
      SLIM_ASSIGN(node.items, PopToMark());
      node.kind = Kind::kTuple;
      return Push(std::move(node));
    }
    case ']':
    case '}':
      node.kind = opcode == ']' ? Kind::kList : Kind::kDict;
      return Push(std::move(node));
    case 'a': {
      SLIM_ASSIGN(const PickleRef item, Pop());
      return Append({item}, Kind::kList);
    }
    case 's': {
      SLIM_ASSIGN(const PickleRef value, Pop());
      SLIM_ASSIGN(const PickleRef key, Pop());
      return Append({key, value}, Kind::kDict);
    }
    case 'e':
    case 'u': {
      SLIM_ASSIGN(const std::vector<PickleRef> items, PopToMark());
      return Append(items, opcode == 'e' ? Kind::kList : Kind::kDict);
    }
    case 'R':
      return Reduce();
    case 'b':
      return Build();
    case 'Q': {
      SLIM_ASSIGN(const PickleRef id, Pop());
      node.kind = Kind::kPersistent;
      node.items = {id};
      return Push(std::move(node));
    }
    default:
      handled_ = false;
      return {};
  }
}

Status Reader::StepMemo(uint8_t opcode) {
  uint64_t index = memo_.size();
  switch (opcode) {
    case '(':
      if (marks_.size() >= kMostNodes) return Fail("PK-limit", "has too many marks");
      marks_.push_back(stack_.size());
      return {};
    case '0':
      return Pop().ok() ? Status() : Fail("PK-stack", "takes a value that is not there");
    case '1': {
      SLIM_ASSIGN(const std::vector<PickleRef> dropped, PopToMark());
      return {};
    }
    case 0x94:
      return Memoize(index);
    case 'q':
    case 'h': {
      SLIM_ASSIGN(index, TakeSize<uint8_t>());
      return opcode == 'q' ? Memoize(index) : Recall(index);
    }
    case 'r':
    case 'j': {
      SLIM_ASSIGN(index, TakeSize<uint32_t>());
      return opcode == 'r' ? Memoize(index) : Recall(index);
    }
    case 0x80: {
      SLIM_ASSIGN(const uint64_t protocol, TakeSize<uint8_t>());
      return protocol <= 5 ? Status()
                           : Fail("PK-opcode", fmt::format("is of protocol {}", protocol));
    }
    case 0x95: {  // a frame: its length is for readers that fetch ahead
      SLIM_ASSIGN(const uint64_t length, TakeSize<uint64_t>());
      return length <= source_.size ? Status() : Fail("PK-truncated", "a frame leaves the file");
    }
    default:
      handled_ = false;
      return {};
  }
}

Status Reader::Refuse(uint8_t opcode) const {
  const auto* known = std::ranges::find(kRefused, opcode, &OpcodeName::code);
  if (known == std::end(kRefused))
    return Fail("PK-opcode", fmt::format("has the byte {:#04x} where an opcode should be", opcode));
  return Fail("PK-opcode", fmt::format("uses {}, which tensors do not need", known->name));
}

Status Reader::Step(uint8_t opcode) {
  for (const auto step :
       {&Reader::StepNumber, &Reader::StepText, &Reader::StepContainer, &Reader::StepMemo}) {
    handled_ = true;
    SLIM_TRY((this->*step)(opcode));
    if (handled_) return {};
  }
  return Refuse(opcode);
}

Result<Pickle> Reader::Run() {
  while (true) {
    opcode_at_ = position_;
    uint8_t opcode = 0;
    SLIM_TRY(Take(&opcode, 1));
    if (opcode == '.') break;
    SLIM_TRY(Step(opcode));
  }
  if (!marks_.empty() || stack_.size() != 1)
    return Fail("PK-stack", "ends with more or less than one value");
  pickle_.root = stack_.front();
  pickle_.end = position_;
  return std::move(pickle_);
}

}  // namespace

ByteSource ByteSource::Of(std::span<const std::byte> memory) {
  return {memory.size(), [memory](std::span<std::byte> to, uint64_t offset) -> Status {
            if (offset > memory.size() || to.size() > memory.size() - offset)
              return InternalError("read outside of a byte source");
            std::ranges::copy(memory.subspan(offset, to.size()), to.begin());
            return {};
          }};
}

ByteSource ByteSource::Part(uint64_t offset, uint64_t part_size) const {
  return {part_size, [inner = read, offset](std::span<std::byte> to, uint64_t at) {
            return inner(to, offset + at);
          }};
}

const PickleNode* Pickle::Find(const PickleNode& dict, std::string_view key) const {
  for (size_t i = 0; i + 1 < dict.items.size(); i += 2) {
    const PickleNode& name = nodes[dict.items[i]];
    if (name.kind == PickleNode::Kind::kText && name.text == key) return &nodes[dict.items[i + 1]];
  }
  return nullptr;
}

Result<Pickle> ReadPickle(const ByteSource& source, uint64_t offset,
                          const std::function<bool(std::string_view)>& is_known) {
  return Reader(source, offset, is_known).Run();
}

}  // namespace slim
