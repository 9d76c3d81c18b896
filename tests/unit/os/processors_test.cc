#include "os/processors.h"

#include <gtest/gtest.h>

#include <thread>

namespace slim {
namespace {

TEST(DefaultThreadCount, IsPositiveAndWithinTheMachine) {
  EXPECT_GE(DefaultThreadCount(), 1);
  EXPECT_LE(DefaultThreadCount(), static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace
}  // namespace slim
