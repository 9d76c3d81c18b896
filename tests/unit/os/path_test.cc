#include <gtest/gtest.h>

#include "os/digest.h"
#include "os/file.h"
#include "os/path_guard.h"
#include "scratch.h"

namespace slim {
namespace {

TEST(CheckPlainFileName, RefusesWhatIsNoPlainName) {
  EXPECT_TRUE(CheckPlainFileName("model-00001-of-00002.safetensors", ".safetensors").ok());
  EXPECT_TRUE(CheckPlainFileName("...safetensors", ".safetensors").ok());
  const std::string long_name = std::string(250, 'a') + ".safetensors";
  for (const std::string& name :
       {std::string(), std::string("."), std::string(".."), std::string("../x.safetensors"),
        std::string("/abs.safetensors"), std::string("a/../../b.safetensors"),
        std::string("a\\b.safetensors"), std::string("a\0.safetensors", 14),
        std::string("a\n.safetensors"), std::string("model.bin"), long_name}) {
    const Status status = CheckPlainFileName(name, ".safetensors");
    ASSERT_FALSE(status.ok()) << name;
    EXPECT_EQ(status.error().rule, "PATH-not-a-plain-name");
  }
}

TEST(CheckOutputApart, SeesThroughSpellingsAndLinks) {
  const Scratch scratch;
  scratch.Write("in/model", "x");
  scratch.Write("inside-not/model", "x");
  std::filesystem::create_directory_symlink(scratch / "in", scratch / "link");
  const std::string in = scratch / "in";
  for (const std::string& out : {in, in + "/", in + "/.", scratch / "link", in + "/sub",
                                 scratch / "in/../in", scratch / "link/new", scratch.path()}) {
    const Status status = CheckOutputApart(in, out);
    ASSERT_FALSE(status.ok()) << out;
    EXPECT_EQ(status.error().code, ErrorCode::kUsage);
  }
  EXPECT_TRUE(CheckOutputApart(in, scratch / "out").ok());
  EXPECT_TRUE(CheckOutputApart(in, scratch / "inside-not").ok());
  EXPECT_TRUE(CheckOutputApart(in, scratch / "in-too").ok());
}

TEST(Paths, Parts) {
  EXPECT_EQ(JoinPath("a", "b"), "a/b");
  EXPECT_EQ(JoinPath("a/", "b"), "a/b");
  EXPECT_EQ(JoinPath("", "b"), "b");
  EXPECT_EQ(BaseName("/a/b/"), "b");
  EXPECT_EQ(BaseName("/"), "/");
  EXPECT_EQ(DirectoryName("/a/b/"), "/a");
  EXPECT_EQ(DirectoryName("/a"), "/");
  EXPECT_EQ(DirectoryName("a"), ".");
}

TEST(ListDirectory, FollowsLinksAndSorts) {
  const Scratch scratch;
  scratch.Write("d/b", "12");
  scratch.Write("d/a/x", "");
  std::filesystem::create_symlink("b", scratch / "d/c");
  std::filesystem::create_symlink("nowhere", scratch / "d/e");
  const auto entries = ListDirectory(scratch / "d");
  ASSERT_TRUE(entries.ok());
  ASSERT_EQ(entries->size(), 4U);
  EXPECT_EQ((*entries)[0].kind, FileKind::kDirectory);
  EXPECT_EQ((*entries)[1].size, 2U);
  EXPECT_EQ((*entries)[2].kind, FileKind::kRegular);
  EXPECT_EQ((*entries)[3].kind, FileKind::kMissing);
  EXPECT_EQ(ListDirectory(scratch / "none").error().rule, "IN-missing");
  EXPECT_EQ(ListDirectory(scratch / "d/b").error().rule, "IN-not-a-directory");
}

TEST(ReadWholeFile, HasALimit) {
  const Scratch scratch;
  const std::string path = scratch.Write("f", "0123456789");
  EXPECT_EQ(ReadWholeFile(path).value(), "0123456789");
  EXPECT_EQ(ReadWholeFile(path, 9).error().rule, "IN-too-large");
}

// sha256sum (coreutils) and xxhsum -H2 (xxHash 0.8.1) of the three bytes "abc".
TEST(Digest, OfABC) {
  const Scratch scratch;
  const auto file = File::Open(scratch.Write("abc", "abc"));
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(Sha256File(*file).value(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Xxh3File(*file).value(), "06b05ab6733a618578af5f94892f3950");
  const std::string abc = "abc";
  EXPECT_EQ(Xxh3(std::as_bytes(std::span(abc))), "06b05ab6733a618578af5f94892f3950");
  Xxh3Hasher hasher;
  hasher.Update(std::as_bytes(std::span(abc)).first(1));
  hasher.Update(std::as_bytes(std::span(abc)).subspan(1));
  EXPECT_EQ(hasher.Finish(), "06b05ab6733a618578af5f94892f3950");
}

}  // namespace
}  // namespace slim
