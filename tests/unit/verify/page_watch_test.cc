#include "verify/page_watch.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "checkpoint/safetensors_header.h"
#include "scratch.h"
#include "verify/value_scan.h"

namespace slim {
namespace {

constexpr uint64_t kRow = 200;
constexpr uint64_t kRows = 2000;

// A safetensors file of one U8 matrix [2000, 200] of noise, whose bytes a test spoils; positions
// are bytes of the file.
class Pages : public testing::Test {
 protected:
  Pages() {
    const auto layout = LayOutSafetensors({{"w", DType::kU8, {kRows, kRow}}});
    file_ = layout->header;
    data_ = file_.size();
    std::mt19937 random(3);
    // Zero is as frequent as in codes of a trained layer.
    while (file_.size() < layout->file_size)
      file_ += random() % 25 == 0 ? '\0' : static_cast<char>(random() % 255 + 1);
  }

  void Zero(uint64_t begin, uint64_t end) {
    std::fill(file_.begin() + static_cast<int64_t>(begin),
              file_.begin() + static_cast<int64_t>(end), '\0');
    // Chance must not continue the zeros.
    if (begin > data_) file_[begin - 1] = 'x';
    if (end < file_.size()) file_[end] = 'x';
  }

  void Watch() {
    const std::string path = scratch_.Write("x.safetensors", file_);
    const auto checkpoint = Checkpoint::Open(path);
    const TensorEntry* entry = checkpoint->Find("w");
    PageWatcher watcher(*entry);
    ASSERT_TRUE(ForEachPiece(*checkpoint, *entry, [&](auto bytes, uint64_t offset) {
                  watcher.Add(bytes, offset);
                }).ok());
    zeroes_ = watcher.zeroes();
    runs_ = watcher.zero_runs();
    all_zero_ = watcher.all_zero();
    twins_ = watcher.RepeatedPages(*checkpoint).value();
  }

  Scratch scratch_;
  std::string file_;
  uint64_t data_ = 0;
  std::optional<PageWatcher::Run> zeroes_;
  std::optional<PageWatcher::Twins> twins_;
  uint64_t runs_ = 0;
  bool all_zero_ = false;
};

TEST_F(Pages, NoiseIsSound) {
  Watch();
  EXPECT_FALSE(zeroes_ || twins_ || all_zero_);
}

TEST_F(Pages, OnePageThatWasNeverWritten) {
  Zero(20480, 24576);
  Watch();
  ASSERT_TRUE(zeroes_);
  EXPECT_EQ(zeroes_->begin, 20480 - data_);
  EXPECT_EQ(zeroes_->end, 24576 - data_);
  EXPECT_EQ(runs_, 1U);
}

TEST_F(Pages, TwoPlacesAcrossPieces) {
  Zero(262144 - 8192, 262144 + 4096);
  Zero(8192, 12288);
  Watch();
  EXPECT_EQ(runs_, 2U);
  EXPECT_EQ(zeroes_->begin, 8192 - data_);
}

TEST_F(Pages, TheEndsOfTheTensorAreBorders) {
  Zero(data_, 8192);
  Zero(file_.size() - file_.size() % 4096 - 4096, file_.size());
  Watch();
  EXPECT_EQ(runs_, 2U);
  EXPECT_EQ(zeroes_->begin, 0U);
}

TEST_F(Pages, ZerosThatDoNotEndAtABorderAreTheModels) {
  Zero(20480 - 100, 24576);
  Zero(40960, 45056 + 50);
  Zero(61440 + 8, 65536 - 8);
  Watch();
  EXPECT_FALSE(zeroes_);
}

TEST_F(Pages, WholeRowsOfZerosAreTheModels) {
  Zero(data_, data_ + 40 * kRow);
  Zero(data_ + 1000 * kRow, data_ + 1100 * kRow);
  Watch();
  EXPECT_FALSE(zeroes_);
  Zero(data_, file_.size());
  Watch();
  EXPECT_FALSE(zeroes_);
  EXPECT_TRUE(all_zero_);
}

TEST_F(Pages, OnePageTwice) {
  file_.replace(40960, 4096, file_.substr(8192, 4096));
  Watch();
  ASSERT_TRUE(twins_);
  EXPECT_EQ(twins_->first, 8192 - data_);
  EXPECT_EQ(twins_->second, 40960 - data_);
}

// Rows as long as a page are whole rows apart wherever they are copied to: the border tells.
TEST(RowsOfAPage, OnePageTwiceAndEqualRows) {
  const auto layout = LayOutSafetensors({{"w", DType::kU8, {400, 4096}}});
  std::string noise = layout->header;
  std::mt19937 random(5);
  while (noise.size() < layout->file_size) noise += static_cast<char>(random() % 255 + 1);
  const auto twins = [&](const std::string& file) {
    const Scratch scratch;
    const std::string path = scratch.Write("x.safetensors", file);
    const auto checkpoint = Checkpoint::Open(path);
    const TensorEntry* entry = checkpoint->Find("w");
    PageWatcher watcher(*entry);
    EXPECT_TRUE(ForEachPiece(*checkpoint, *entry, [&](auto bytes, uint64_t offset) {
                  watcher.Add(bytes, offset);
                }).ok());
    return watcher.RepeatedPages(*checkpoint).value();
  };
  EXPECT_FALSE(twins(noise));
  std::string torn = noise;
  torn.replace(409600, 8192, noise.substr(40960, 8192));
  ASSERT_TRUE(twins(torn));
  EXPECT_EQ(twins(torn)->second, 409600 - layout->header.size());
  std::string rows = noise;
  const size_t data = layout->header.size();
  rows.replace(data + 200 * 4096, 50 * 4096, noise.substr(data + 10 * 4096, 50 * 4096));
  EXPECT_FALSE(twins(rows));
}

TEST_F(Pages, EqualRowsAndConstantPagesAreTheModels) {
  const std::string rows = file_.substr(data_, 100 * kRow);
  file_.replace(data_ + 512 * kRow, rows.size(), rows);  // 512 rows are 25 pages
  Watch();
  EXPECT_FALSE(twins_);
  std::fill(file_.begin() + 102400, file_.begin() + 143360, '\x01');
  Watch();
  EXPECT_FALSE(twins_);
}

}  // namespace
}  // namespace slim
