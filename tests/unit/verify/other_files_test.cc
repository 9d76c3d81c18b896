// Checkpoints in files that are no safetensors: GGUF, torch.save's and numpy's. Judged by their own
// rules, broken ones a finding, and refused by loaders as a finding, too. The damaged files are
// those of tests/fuzz/corpus, which torch, Python's pickle and llama.cpp's library wrote.
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <map>
#include <set>

#include "checkpoint/npy_file.h"
#include "json/json.h"
#include "os/file.h"
#include "scratch.h"
#include "tensor/tensor.h"
#include "verify/checkpoint_editor.h"

namespace slim {

std::set<std::string> RulesWithFileCases();      // for findings_test.cc
std::set<std::string> RulesWithNearFileCases();  // for findings_test.cc

namespace {

std::string Corpus(const std::string& name) {
  return ReadWholeFile(std::string(SLIM_TESTS) + "/fuzz/corpus/" + name).value();
}
// Headers behind a byte that says how the fuzzer cuts them, before data of zeros.
std::string GgufCorpus(const std::string& name) {
  return Corpus("gguf_header/" + name).substr(1) + std::string(4096, '\0');
}

VerifyReport Verify(const std::string& path, const std::string& loader = "") {
  VerifyOptions options{.deep = true, .threads = 1};
  if (!loader.empty()) options.targets.push_back(ParseLoaderTarget(loader).value());
  auto report = VerifyCheckpoint(path, options, SilentListener());
  if (!report.ok()) throw std::runtime_error(report.error().ToString());
  return std::move(*report);
}

// ---- GGUF and torch, a file each

struct FileCase {
  const char* rule;
  const char* name;
  std::string bytes;
};
void PrintTo(const FileCase& c, std::ostream* out) { *out << c.rule << " " << c.name; }

std::vector<FileCase> BrokenFiles() {
  std::vector<FileCase> cases = {{"GG-header", "x.gguf", GgufCorpus("count")},
                                 {"GG-header", "x.gguf", GgufCorpus("version1")}};
  for (const char* name : {"cut", "no_end", "compressed", "wrong_name", "missing_storage",
                           "short_storage", "negative", "huge", "expanded", "big", "list"})
    cases.push_back({"PT-file", "pytorch_model.bin", Corpus(std::string("torch_file/") + name)});
  for (const char* name : {"evil", "evil4", "evil_legacy", "eval", "script"})
    cases.push_back({"PK-global", "pytorch_model.bin", Corpus(std::string("torch_file/") + name)});
  return cases;
}

std::vector<FileCase> SoundFiles() {
  std::vector<FileCase> cases = {{"GG-header", "x.gguf", GgufCorpus("llama")}};
  for (const char* name : {"plain", "legacy", "views", "nested", "float8", "state_dict"}) {
    for (const char* rule : {"PT-file", "PK-global"})
      cases.push_back({rule, "pytorch_model.bin", Corpus(std::string("torch_file/") + name)});
  }
  return cases;
}

class BrokenFile : public testing::TestWithParam<FileCase> {};
TEST_P(BrokenFile, IsAFindingAloneAndInADirectory) {
  Scratch scratch;
  const std::string file = scratch.Write(std::string("model/") + GetParam().name, GetParam().bytes);
  scratch.Write("model/config.json", R"({"model_type": "other", "torch_dtype": "float32"})");
  for (const std::string& path : {file, scratch / "model"}) {
    const VerifyReport report = Verify(path);
    EXPECT_FALSE(report.ok());
    EXPECT_NE(Find(report, GetParam().rule), nullptr)
        << (report.findings.empty() ? "nothing" : report.findings.front().rule);
  }
}
INSTANTIATE_TEST_SUITE_P(Files, BrokenFile, testing::ValuesIn(BrokenFiles()));

class SoundFile : public testing::TestWithParam<FileCase> {};
TEST_P(SoundFile, HasNoError) {
  Scratch scratch;
  const std::string file = scratch.Write(std::string("model/") + GetParam().name, GetParam().bytes);
  // GGUF brings its own.
  if (!file.ends_with(".gguf"))
    scratch.Write("model/config.json", R"({"model_type": "other", "torch_dtype": "float32"})");
  for (const std::string& path : {file, scratch / "model"}) {
    const VerifyReport report = Verify(path);
    EXPECT_EQ(Find(report, GetParam().rule), nullptr);
    EXPECT_TRUE(report.ok()) << report.findings.front().rule << report.findings.front().message;
  }
}
INSTANTIATE_TEST_SUITE_P(Files, SoundFile, testing::ValuesIn(SoundFiles()));

// ---- numpy

// One int8 layer, as msModelSlim's save_type numpy leaves it, spoiled in one place.
class NpyEditor {
 public:
  NpyEditor() {
    Tensor codes(DType::kI8, {64, 64});
    for (size_t i = 0; i < codes.data.size(); ++i)
      codes.data.data()[i] = static_cast<std::byte>(static_cast<int>(i * 37 % 255) - 127);
    tensors["l.weight"] = std::move(codes);
    tensors["l.weight_scale"] = Tensor::FromFloats({64, 1}, std::vector<float>(64, 0.5F));
    tensors["l.weight_offset"] = Tensor::FromFloats({64, 1}, std::vector<float>(64, 0.0F));
    tensors["model.norm.weight"] = Tensor::FromFloats({64}, std::vector<float>(64, 1.0F));
  }

  std::string Write() {
    std::map<std::string, std::vector<std::pair<TensorSpec, const Tensor*>>> files;
    for (const auto& [name, tensor] : tensors) {
      const NpyPlace place = NpyPlaceOf(name);
      files[place.file].push_back({{place.key, tensor.dtype, tensor.shape}, &tensor});
    }
    for (const auto& [file, members] : files) {
      std::vector<TensorSpec> specs;
      for (const auto& [spec, tensor] : members) specs.push_back(spec);
      const NpyLayout layout = LayOutNpy(specs).value();
      std::string bytes(layout.file_size, '\0');
      for (const auto& [offset, piece] : layout.pieces) bytes.replace(offset, piece.size(), piece);
      for (size_t i = 0; i < members.size(); ++i) {
        const Tensor& tensor = *members[i].second;
        std::memcpy(bytes.data() + layout.offsets[i], tensor.data.data(), tensor.data.size());
      }
      scratch_.Write("model/" + file, bytes);
    }
    scratch_.Write("model/config.json", config);
    for (const auto& [name, text] : replaced) scratch_.Write("model/" + name, text);
    return scratch_ / "model";
  }

  std::map<std::string, Tensor> tensors;
  std::map<std::string, std::string> replaced;  // files in place of what is made
  std::string config =
      R"({"model_type": "other", "torch_dtype": "bfloat16", "quantize": "w8a8_dynamic"})";

 private:
  Scratch scratch_;
};

struct NpyCase {
  const char* rule;
  void (*spoil)(NpyEditor&);
  void (*near)(NpyEditor&);
};
void PrintTo(const NpyCase& c, std::ostream* out) { *out << c.rule; }

void UseLabel(NpyEditor& e, const std::string& type) {
  e.config = R"({"model_type": "other", "torch_dtype": "bfloat16", "quantize": ")" + type + "\"}";
}

const NpyCase kNpyCases[] = {
    {"NP-file", [](NpyEditor& e) { e.replaced["weight_scale.npy"] = "\x93NUMPY"; },
     [](NpyEditor& e) { e.replaced["readme.txt"] = "\x93NUMPY"; }},
    {"PK-global",
     [](NpyEditor& e) {
       std::string header = "{'descr': '|O', 'fortran_order': False, 'shape': (), }";
       header.resize(117, ' ');
       e.replaced["weight_scale.npy"] = std::string("\x93NUMPY\1\0\x76\0", 10) + header + "\n" +
                                        std::string("\200\4cos\nsystem\n(X\4\0\0\0true\205R.", 26);
     },
     [](NpyEditor&) {}},
    {"NP-bias",
     [](NpyEditor& e) {
       e.tensors["l.weight"] = Tensor::FromFloats({64}, std::vector<float>(64, 1.0F));
     },
     [](NpyEditor& e) {
       e.tensors["other.weight"] = Tensor::FromFloats({64}, std::vector<float>(64, 1.0F));
     }},
    {"NP-type", [](NpyEditor& e) { UseLabel(e, "other"); },
     [](NpyEditor& e) { UseLabel(e, "w8a16"); }},
    {"LIN-shape",
     [](NpyEditor& e) {
       e.tensors["l.weight_scale"] = Tensor::FromFloats({32, 1}, std::vector<float>(32, 0.5F));
     },
     [](NpyEditor&) {}},
    {"LIN-missing-part", [](NpyEditor& e) { e.tensors.erase("l.weight_offset"); },
     [](NpyEditor&) {}},
    {"VAL-scale-not-positive",
     [](NpyEditor& e) { e.tensors["l.weight_scale"].as<float>()[3] = -1; },
     [](NpyEditor& e) { e.tensors["l.weight_scale"].as<float>()[3] = 1; }},
    {"VAL-weight-offset", [](NpyEditor& e) { e.tensors["l.weight_offset"].as<float>()[3] = 1; },
     [](NpyEditor& e) {
       UseLabel(e, "w8a16");
       e.tensors["l.weight_offset"].as<float>()[3] = 1;
     }},
};

class Npy : public testing::TestWithParam<NpyCase> {};

TEST_P(Npy, SpoiledIsFoundAndTheNearOneIsNot) {
  NpyEditor spoiled;
  GetParam().spoil(spoiled);
  const VerifyReport report = Verify(spoiled.Write());
  EXPECT_EQ(report.DialectName(), "npy");
  EXPECT_NE(Find(report, GetParam().rule), nullptr)
      << (report.findings.empty() ? "nothing" : report.findings.front().rule);
  NpyEditor near;
  GetParam().near(near);
  const VerifyReport clean = Verify(near.Write());
  EXPECT_EQ(Find(clean, GetParam().rule), nullptr);
  EXPECT_TRUE(clean.ok()) << clean.findings.front().rule << clean.findings.front().message;
}

INSTANTIATE_TEST_SUITE_P(Rules, Npy, testing::ValuesIn(kNpyCases));

// ---- what loaders say

TEST(OtherFiles, LoadersRefuseThemAsAFinding) {
  Scratch scratch;
  const std::string gguf = scratch.Write("gguf/model.gguf", GgufCorpus("llama"));
  const std::string torch = scratch.Write("torch/pytorch_model.bin", Corpus("torch_file/plain"));
  scratch.Write("torch/config.json", R"({"model_type": "other", "torch_dtype": "float32"})");
  NpyEditor npy;
  const std::string numpy = npy.Write();
  for (const char* loader : {"mindie", "mindie-atb", "vllm-ascend", "sglang", "vllm-mindspore"}) {
    for (const std::string& path : {gguf, scratch / "gguf", numpy}) {
      const VerifyReport report = Verify(path, loader);
      const Finding* finding = Find(report, "LD-foreign-format");
      ASSERT_NE(finding, nullptr) << loader << " " << path;
      EXPECT_EQ(finding->severity, Severity::kError);
      EXPECT_EQ(finding->effect, Effect::kRefuses);
    }
    // vLLM and SGLang fall back to torch's files.
    const bool opens =
        std::string_view(loader) == "vllm-ascend" || std::string_view(loader) == "sglang";
    EXPECT_EQ(Find(Verify(scratch / "torch", loader), "LD-foreign-format") == nullptr, opens)
        << loader;
  }
}

// A config.json that does not fit the file beside it is a finding, too.
TEST(OtherFiles, ConfigOfAnotherModelBesideGguf) {
  Scratch scratch;
  scratch.Write("model/x.gguf", GgufCorpus("llama"));
  scratch.Write("model/config.json", R"({"model_type": "other", "torch_dtype": "float32"})");
  const VerifyReport report = Verify(scratch / "model");
  EXPECT_NE(Find(report, "GG-header"), nullptr);
}

// A loader takes a directory: a sound file by itself is not passed by in silence.
TEST(OtherFiles, AFileByItselfIsRefused) {
  Scratch scratch;
  const std::string header = R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}   )";
  std::string file(8, '\0');
  file[0] = static_cast<char>(header.size());
  const std::string path = scratch.Write("x.safetensors", file + header + "ab");
  EXPECT_TRUE(Verify(path).findings.empty());
  EXPECT_NE(Find(Verify(path, "vllm-ascend"), "LD-foreign-format"), nullptr);
}

}  // namespace

std::set<std::string> RulesWithFileCases() {
  std::set<std::string> rules;
  for (const FileCase& c : BrokenFiles()) rules.insert(c.rule);
  for (const NpyCase& c : kNpyCases) rules.insert(c.rule);
  return rules;
}

std::set<std::string> RulesWithNearFileCases() {
  std::set<std::string> rules;
  for (const FileCase& c : SoundFiles()) rules.insert(c.rule);
  for (const NpyCase& c : kNpyCases) rules.insert(c.rule);
  return rules;
}

}  // namespace slim
