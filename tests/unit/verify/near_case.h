// A checkpoint that differs from a sound one close to what a rule forbids, and does not break it.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <ostream>
#include <set>
#include <string>

#include "checkpoint/checkpoint.h"
#include "verify/checkpoint_editor.h"

namespace slim {

struct NearCase {
  const char* rule;
  const char* base;
  void (*change)(CheckpointEditor&);
};

inline void PrintTo(const NearCase& near, std::ostream* out) { *out << near.rule; }

// Bytes and links of every file below a directory.
inline std::map<std::string, std::string> ContentOf(const std::string& directory) {
  std::map<std::string, std::string> content;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    const std::string name = std::filesystem::relative(entry.path(), directory).string();
    if (entry.is_symlink()) {
      content[name] = "-> " + std::filesystem::read_symlink(entry.path()).string();
    } else if (entry.is_regular_file()) {
      content[name] = ReadAll(entry.path().string());
    } else {
      content[name];
    }
  }
  return content;
}

inline void ExpectNearMiss(const NearCase& near) {
  CheckpointEditor sound(near.base);
  CheckpointEditor changed(near.base);
  near.change(changed);
  const std::string path = changed.Write();
  EXPECT_NE(ContentOf(path), ContentOf(sound.Write())) << "nothing was changed";
  const auto report = VerifyCheckpoint(path, {.deep = true, .threads = 2}, SilentListener());
  ASSERT_TRUE(report.ok()) << report.error().ToString();
  const Finding* finding = Find(*report, near.rule);
  EXPECT_EQ(finding, nullptr) << finding->tensor << ": " << finding->message;
}

}  // namespace slim
