// Manifests: what is written, what a check finds in a checkpoint that was spoiled in one place, and
// what may be held against one.
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <set>

#include "scratch.h"
#include "verify/checkpoint_editor.h"
#include "verify/manifest.h"
#include "verify/manifest_check.h"
#include "verify/manifest_hash.h"

namespace slim {

std::set<std::string> RulesWithManifestCases();
std::set<std::string> RulesWithNearManifestCases();

namespace {

constexpr const char* kBase = "golden/one-click/mini-qwen2-bfloat16/w8a8-static";
const std::string kQ = "model.layers.0.self_attn.q_proj";
const std::string kK = "model.layers.0.self_attn.k_proj";
constexpr const char* kShard = "/quant_model_weights-00001-of-00001.safetensors";

using Rules = std::vector<std::string>;

Rules RulesOf(const VerifyReport& report) {
  Rules rules;
  for (const Finding& finding : report.findings) rules.push_back(finding.rule);
  return rules;
}

struct Case {
  const char* rule;
  const char* tensor;
  const char* message;
  std::function<void(CheckpointEditor&)> spoil;
};

void PrintTo(const Case& spoiled, std::ostream* out) { *out << spoiled.rule; }

void AfterWriting(CheckpointEditor& editor, void (*spoil)(const std::string& directory)) {
  editor.after = spoil;
}

const std::vector<Case>& Cases() {
  static const std::vector<Case> cases = {
      {"MAN-changed-tensor", "model.layers.0.self_attn.q_proj.weight", "its bytes are not",
       [](CheckpointEditor& e) { e[kQ + ".weight"].bytes[17] ^= 1; }},
      {"MAN-changed-tensor", "model.layers.0.self_attn.q_proj.weight", "is I8[1, 4096], was I8[",
       [](CheckpointEditor& e) {
         e[kQ + ".weight"].shape = {1, 4096};
       }},
      {"MAN-swapped-tensor", "model.layers.0.self_attn.k_proj.weight",
       "holds the bytes of 'model.layers.0.self_attn.v_proj.weight'",
       [](CheckpointEditor& e) {
         e[kK + ".weight"].bytes = e["model.layers.0.self_attn.v_proj.weight"].bytes;
       }},
      {"MAN-missing-tensor", "model.norm.weight", "is missing",
       [](CheckpointEditor& e) { e.tensors.erase("model.norm.weight"); }},
      {"MAN-extra-tensor", "another.weight", "(F32[2]) is not in the manifest",
       [](CheckpointEditor& e) { e.Add("another.weight", DType::kF32, {2}, "FLOAT"); }},
      {"MAN-changed-value", "", "'rms_norm_eps' is 0.5, was 1e-06",
       [](CheckpointEditor& e) { e.SetConfig("rms_norm_eps", Json::Real(0.5)); }},
      {"MAN-changed-value", "", "'another_key' is new: true",
       [](CheckpointEditor& e) { e.SetConfig("another_key", true); }},
      {"MAN-changed-file", "", "its bytes are not",
       [](CheckpointEditor& e) { e.files["merges.txt"][0] ^= 1; }},
      {"MAN-changed-file", "", "has 670 bytes, had 669",
       [](CheckpointEditor& e) { e.files["config.json"] += ' '; }},
      {"MAN-missing-file", "", "is missing",
       [](CheckpointEditor& e) { e.files.erase("tokenizer.json"); }},
      {"MAN-extra-file", "", "(2 B) is not in the manifest",
       [](CheckpointEditor& e) { e.files["notes.json"] = "{}"; }},
      {"MAN-extra-weights", "", "is not in the manifest",
       [](CheckpointEditor& e) {
         AfterWriting(e, [](const std::string& d) {
           std::filesystem::copy_file(d + kShard, d + "/more.safetensors");
         });
       }},
      {"MAN-changed-file", "", "is unsound: the header describes",
       [](CheckpointEditor& e) {
         AfterWriting(e, [](const std::string& d) {
           std::filesystem::resize_file(d + kShard, std::filesystem::file_size(d + kShard) - 1);
         });
       }},
  };
  return cases;
}

// Close to each of them, and not it: what is found instead has another name.
const std::vector<Case>& NearCases() {
  static const std::vector<Case> cases = {
      {"MAN-changed-tensor", "", "", [](CheckpointEditor& e) { e.files["merges.txt"][0] ^= 1; }},
      {"MAN-swapped-tensor", "", "",
       [](CheckpointEditor& e) {
         e[kK + ".weight"].bytes = e["model.layers.0.self_attn.v_proj.weight"].bytes;
         e[kK + ".weight"].bytes[0] ^= 1;
       }},
      {"MAN-missing-tensor", "", "",
       [](CheckpointEditor& e) {
         e["model.norm.weight"].shape = {8, 8};
       }},
      {"MAN-extra-tensor", "", "",
       [](CheckpointEditor& e) { e.tensors.erase("model.norm.weight"); }},
      {"MAN-changed-value", "", "", [](CheckpointEditor& e) { e.files["config.json"] += ' '; }},
      {"MAN-changed-file", "", "",
       [](CheckpointEditor& e) { e.SetConfig("rms_norm_eps", Json::Real(0.5)); }},
      {"MAN-missing-file", "", "", [](CheckpointEditor& e) { e.files["tokenizer.json"].clear(); }},
      {"MAN-extra-file", "", "", [](CheckpointEditor& e) { e.files[".notes.json"] = "{}"; }},
      {"MAN-extra-weights", "", "",
       [](CheckpointEditor& e) { e.files["more.safetensors.txt"] = "?"; }},
      {"MAN-changed-header", "", "", [](CheckpointEditor& e) { e[kQ + ".weight"].bytes[17] ^= 1; }},
  };
  return cases;
}

// A checkpoint with a side file that is no JSON.
void Prepare(CheckpointEditor& editor) { editor.files["merges.txt"] = "a b\n"; }

class SpoiledSince : public testing::TestWithParam<Case> {};

TEST_P(SpoiledSince, IsNamed) {
  const Case& spoiled = GetParam();
  const Scratch scratch;
  CheckpointEditor editor(kBase);
  Prepare(editor);
  const ManifestOptions options = {.file = scratch / "manifest", .threads = 2};
  ASSERT_TRUE(WriteManifest(editor.Write(), options, {}, SilentListener()).ok());
  spoiled.spoil(editor);
  const auto report = CheckManifest(editor.Write(), options, SilentListener());
  ASSERT_TRUE(report.ok()) << report.error().ToString();
  for (const Finding& finding : report->findings) {
    if (finding.rule != spoiled.rule || finding.tensor != spoiled.tensor) continue;
    EXPECT_NE(finding.message.find(spoiled.message), std::string::npos) << finding.message;
    return;
  }
  FAIL() << testing::PrintToString(RulesOf(*report));
}

INSTANTIATE_TEST_SUITE_P(Manifest, SpoiledSince, testing::ValuesIn(Cases()));

class NearSince : public testing::TestWithParam<Case> {};

TEST_P(NearSince, DoesNotFireItsRule) {
  const Scratch scratch;
  CheckpointEditor editor(kBase);
  Prepare(editor);
  const ManifestOptions options = {.file = scratch / "manifest", .threads = 2};
  ASSERT_TRUE(WriteManifest(editor.Write(), options, {}, SilentListener()).ok());
  GetParam().spoil(editor);
  const auto report = CheckManifest(editor.Write(), options, SilentListener());
  ASSERT_TRUE(report.ok()) << report.error().ToString();
  const Finding* finding = Find(*report, GetParam().rule);
  EXPECT_EQ(finding, nullptr) << finding->message;
}

INSTANTIATE_TEST_SUITE_P(Manifest, NearSince, testing::ValuesIn(NearCases()));

TEST(Manifest, AnUntouchedCopyIsTheSame) {
  const Scratch scratch;
  CheckpointEditor editor(kBase);
  Prepare(editor);
  const std::string path = editor.Write();
  const ManifestOptions options = {.sha256 = true, .threads = 2};
  const auto summary = WriteManifest(path, options, {}, SilentListener());
  ASSERT_TRUE(summary.ok()) << summary.error().ToString();
  EXPECT_EQ(summary->manifest, path + "/slim_manifest.json");
  EXPECT_EQ(summary->tensors, editor.tensors.size());
  std::filesystem::copy(path, scratch / "copy");
  for (const bool sha256 : {false, true}) {
    const auto report = CheckManifest(scratch / "copy", {.sha256 = sha256}, SilentListener());
    ASSERT_TRUE(report.ok()) << report.error().ToString();
    EXPECT_EQ(RulesOf(*report), Rules{});
  }
  // It is a side file with a purpose, and there is no second one without --force.
  const auto verified = VerifyCheckpoint(path, {}, SilentListener());
  EXPECT_EQ(RulesOf(*verified), RulesOf(*VerifyCheckpoint(scratch / "copy", {}, SilentListener())));
  EXPECT_FALSE(WriteManifest(path, options, {}, SilentListener()).ok());
  EXPECT_TRUE(WriteManifest(path, options, {.force = true}, SilentListener()).ok());
}

TEST(Manifest, AChangedHeaderAlone) {
  const Scratch scratch;
  const auto file = [](const char* header) {
    std::string text(8, '\0');
    text[0] = static_cast<char>(std::string_view(header).size());
    return text + header + "ab";
  };
  const std::string path = scratch.Write(
      "x.safetensors", file(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}} )"));
  ASSERT_TRUE(WriteManifest(path, {}, {}, SilentListener()).ok());
  EXPECT_EQ(scratch.List(), (Rules{"x.safetensors", "x.safetensors.slim_manifest.json"}));
  EXPECT_TRUE(CheckManifest(path, {}, SilentListener())->findings.empty());
  scratch.Write("x.safetensors", file(R"({"a":{"shape":[2],"dtype":"U8","data_offsets":[0,2]}} )"));
  EXPECT_EQ(RulesOf(*CheckManifest(path, {}, SilentListener())), Rules{"MAN-changed-header"});
}

TEST(Manifest, ATensorThatMovedIsFound) {
  const Scratch scratch;
  CheckpointEditor editor(kBase);
  editor.shard_count = 2;
  const ManifestOptions options = {.file = scratch / "manifest"};
  editor["model.norm.weight"].shard = 1;
  ASSERT_TRUE(WriteManifest(editor.Write(), options, {}, SilentListener()).ok());
  editor["lm_head.weight"].shard = 1;
  const auto report = CheckManifest(editor.Write(), options, SilentListener());
  ASSERT_TRUE(report.ok());
  ASSERT_FALSE(report->findings.empty());
  EXPECT_EQ(report->findings[0].rule, "MAN-missing-tensor");
  EXPECT_EQ(report->findings[0].message,
            "is in 'quant_model_weights-00002-of-00002.safetensors', not here");
}

// The bytes of a manifest depend on neither threads nor an earlier run that was killed.
TEST(Manifest, IsTheSameHoweverItWasMade) {
  const Scratch scratch;
  CheckpointEditor editor(kBase);
  const std::string path = editor.Write();
  const auto text = [&](int threads) {
    const ManifestOptions options = {
        .file = scratch / "manifest", .sha256 = true, .threads = threads};
    EXPECT_TRUE(WriteManifest(path, options, {.force = true}, SilentListener()).ok());
    return ReadAll(scratch / "manifest");
  };
  const std::string alone = text(1);
  EXPECT_EQ(text(2), alone);
  EXPECT_EQ(text(5), alone);
  EXPECT_EQ(ManifestText(*ParseManifest(alone)), alone);
}

TEST(Manifest, AJournalIsTakenUpAndAnOldOneIgnored) {
  struct Notes : Listener {
    void Note(std::string_view text) override { notes.emplace_back(text); }
    std::vector<std::string> notes;
  } listener;
  const Scratch scratch;
  const std::string path = scratch.Write("model/a.bin", "a");
  scratch.Write("model/b.bin", "b");
  const std::string other = scratch.Write("other", "a");
  const auto files = ListCheckpointFiles(scratch / "model");
  const std::string journal = scratch / "journal";
  const std::string digest(32, 'f');
  const std::string identity = File::Open(path)->Identity();
  // A digest that only the journal can give shows that it was taken from there.
  scratch.Write("journal", digest + " 0 " + identity + " a.bin\n" + digest + " 0 " +
                               File::Open(other)->Identity() + " b.bin\nrubbish\n" + digest +
                               " 7 " + identity + " a.bin\n" + digest.substr(0, 9));
  const auto hashed =
      HashFiles(scratch / "model", *files, {.threads = 2, .journal = journal}, listener);
  ASSERT_TRUE(hashed.ok()) << hashed.error().ToString();
  EXPECT_EQ((*hashed)[0].file.xxh3, digest);
  EXPECT_NE((*hashed)[1].file.xxh3, digest);
  EXPECT_EQ(listener.notes, Rules{"going on where an earlier run stopped: 1 digests were done"});
  EXPECT_EQ(scratch.List(), (Rules{"model", "other"}));
}

TEST(Manifest, MalformedOnesAreRefused) {
  const std::string digest(32, 'a');
  const std::vector<std::string> texts = {
      "",
      "{}",
      "{\"files\": 1}",
      "{\"files\": {\"a\": {}}}",
      "{\"files\": {}, \"files\": {}}",
      "{\"files\": {\"a\": {\"xxh3\": \"12\"}}}",
      "{\"files\": {\"../a\": {\"xxh3\": \"" + digest + "\"}}}",
      "{\"files\": {\"a\": {\"xxh3\": \"" + digest + "\", \"size\": 1}}}",
      "{\"files\": {\"b\": {\"xxh3\": \"" + digest + "\"}, \"a\": {\"xxh3\": \"" + digest + "\"}}}",
      "<html>",
      digest + "  file",
      digest + digest + "  /etc/passwd",
      digest + digest + "  a\n" + digest + digest + "  a"};
  for (const std::string& text : texts) {
    const auto manifest = ParseManifest(text);
    ASSERT_FALSE(manifest.ok()) << text;
    EXPECT_EQ(manifest.error().code, ErrorCode::kInput) << text;
  }
  const Scratch scratch;
  scratch.Write("model/config.json", "{}");
  const auto none = CheckManifest(scratch / "model", {}, SilentListener());
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().rule, "IN-missing");
  scratch.Write("model/slim_manifest.json", "{}");
  EXPECT_EQ(CheckManifest(scratch / "model", {}, SilentListener()).error().rule, "MAN-malformed");
  EXPECT_FALSE(WriteManifest(scratch / "nowhere", {}, {}, SilentListener()).ok());
  scratch.Write("model/x.safetensors", "cut");
  const auto unsound = WriteManifest(scratch / "model", {}, {.force = true}, SilentListener());
  ASSERT_FALSE(unsound.ok());
  EXPECT_EQ(unsound.error().rule, "ST-too-short");
}

// "abc" and its digest: FIPS 180-2, B.1.
TEST(Sha256List, ThreeSpellings) {
  const std::string abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  const Scratch scratch;
  scratch.Write("model/a", "abc");
  scratch.Write("model/folder/b c", "abc");
  scratch.Write("model/new\nline", "abc");
  const std::string list =
      scratch.Write("list", "# made by hand\n" + abc + "  ./a\r\nSHA256 (folder/b c) = " + abc +
                                "\n\\" + abc + " *new\\nline\n");
  const ManifestOptions options = {.file = list};
  EXPECT_EQ(RulesOf(*CheckManifest(scratch / "model", options, SilentListener())), Rules{});
  scratch.Write("model/a", "abd");
  std::filesystem::remove(scratch / "model/folder/b c");
  scratch.Write("model/more.safetensors", "no matter what");
  scratch.Write("model/README", "no matter either");
  EXPECT_EQ(RulesOf(*CheckManifest(scratch / "model", options, SilentListener())),
            (Rules{"MAN-missing-file", "MAN-unlisted-file", "MAN-changed-file"}));
}

}  // namespace

std::set<std::string> RulesWithNearManifestCases() {
  // Sha256List.ThreeSpellings: a list that names every weight file, and one that is sound.
  std::set<std::string> rules = {"MAN-malformed", "MAN-unlisted-file"};
  for (const Case& near : NearCases()) rules.insert(near.rule);
  return rules;
}

std::set<std::string> RulesWithManifestCases() {
  std::set<std::string> rules = {"MAN-malformed", "MAN-changed-header", "MAN-unlisted-file"};
  for (const Case& spoiled : Cases()) rules.insert(spoiled.rule);
  return rules;
}

}  // namespace slim
