#include "linear/linear_record.h"

#include <gtest/gtest.h>

#include <vector>

namespace slim {
namespace {

// One row of 32 elements of 1.0 at a block scale of 1.
LinearRecord MxRecord() {
  LinearRecord record;
  record.scheme = Scheme::kW8A8MXFP8;
  record[Role::kWeight] = Tensor(DType::kF8E4M3, {1, 32});
  record[Role::kWeightScale] = Tensor(DType::kU8, {1, 1});
  for (uint8_t& code : record[Role::kWeight].as<uint8_t>()) code = 0x38;
  record[Role::kWeightScale].as<uint8_t>()[0] = 127;
  return record;
}

// Found by tests/malformed_test.py: a tensor of another type beside the layer divided by zero.
TEST(LinearRecord, PartsOfOtherTypesAreNotUsed) {
  LinearRecord record = MxRecord();
  record[Role::kWeightDualScale] = Tensor(DType::kF32, {0});
  ASSERT_TRUE(CheckRecord(record).ok());
  std::vector<float> row(32);
  DequantizeWeightRow(record, 0, row);
  EXPECT_EQ(row, std::vector<float>(32, 1.0F));
}

TEST(LinearRecord, ADualScaleOfAnotherShapeIsRefused) {
  LinearRecord record = MxRecord();
  record.scheme = Scheme::kW4A4MXFP4DualScale;
  record[Role::kWeight].dtype = DType::kU8;
  for (const Shape& shape : {Shape{0}, Shape{1, 0}, Shape{1, 3}, Shape{2, 1, 1}}) {
    record[Role::kWeightDualScale] = Tensor(DType::kF32, shape);
    const Status status = CheckRecord(record);
    ASSERT_FALSE(status.ok()) << ShapeText(shape);
    EXPECT_EQ(status.error().code, ErrorCode::kInput);
  }
}

}  // namespace
}  // namespace slim
