#include "convert/receipt.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "convert/testing.h"
#include "os/digest.h"

namespace slim {
namespace {

const std::string kSource = "traditional/mini-qwen2-bfloat16/m0-w8a8-m1";

TEST(Receipt, SameBytesForAnyThreadCountAndPlace) {
  const ScratchFolder one;
  const ScratchFolder two;
  for (const auto& [scratch, threads] : {std::pair(&one, 1), std::pair(&two, 4)}) {
    ThreadPool pool(threads);
    ASSERT_TRUE(Convert(Golden(kSource), scratch->Path(std::to_string(threads)),
                        To(Dialect::kAscendV1), {.force = false, .fsync = false}, pool,
                        SilentListener())
                    .ok());
  }
  const std::string receipt = Slurp(one.Path("1/slim_receipt.json"));
  EXPECT_EQ(receipt, Slurp(two.Path("4/slim_receipt.json")));
  EXPECT_EQ(receipt.find(one.Path("")), std::string::npos);
}

TEST(Receipt, DigestsAreThoseOfTheBytes) {
  const ScratchFolder scratch;
  ASSERT_TRUE(ConvertTo(Golden(kSource), scratch.Path("out"), To(Dialect::kAscendV1)).ok());
  const Json receipt = ParseJson(Slurp(scratch.Path("out/slim_receipt.json"))).value();
  EXPECT_EQ(receipt.Find("tool")->text(), "slim-convert");
  EXPECT_EQ(receipt.Find("loss_class")->text(), "exact");
  const Checkpoint output = Checkpoint::Open(scratch.Path("out")).value();
  const Json& tensors = *receipt.Find("tensors");
  ASSERT_EQ(tensors.members().size(), output.tensors().size());
  for (const TensorEntry& entry : output.tensors()) {
    const Tensor tensor = output.Read(entry).value();
    ASSERT_NE(tensors.Find(entry.name), nullptr) << entry.name;
    EXPECT_EQ(tensors.Find(entry.name)->text(), Xxh3(tensor.data.bytes()));
  }
  // config, generation_config, tokenizer, tokenizer_config, description, index; weights are above.
  EXPECT_EQ(receipt.Find("files")->items().size(), 6U);
  EXPECT_EQ(receipt.Find("inputs")->items().size(), 6U);
  for (const Json& file : receipt.Find("inputs")->items()) {
    const std::string content = Slurp(Golden(kSource) + "/" + file.Find("name")->text());
    EXPECT_EQ(file.Find("bytes")->AsInteger(), static_cast<int64_t>(content.size()));
    EXPECT_EQ(file.Find("xxh3_128")->text(), Xxh3(std::as_bytes(std::span(content))));
  }
  EXPECT_EQ(receipt.Find("notes")->items().size(), 10U);  // five norms with two copies each
}

TEST(Receipt, OfTheSourceIsNotCopied) {
  const ScratchFolder scratch;
  ASSERT_TRUE(ConvertTo(Golden(kSource), scratch.Path("a"), To(Dialect::kAscendV1)).ok());
  Spit(scratch.Path("a/slim_receipt.json"), "{\"tool\": \"someone\"}");
  Spit(scratch.Path("a/slim_manifest.json"), "{}");
  ASSERT_TRUE(ConvertTo(scratch.Path("a"), scratch.Path("b"), To(Dialect::kMindIE)).ok());
  EXPECT_EQ(Slurp(scratch.Path("b/slim_receipt.json")).find("someone"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(scratch.Path("b/slim_manifest.json")));
}

}  // namespace
}  // namespace slim
