#include "parallel/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <new>
#include <set>
#include <thread>
#include <utility>
#include <vector>

namespace slim {
namespace {

using Chunks = std::set<std::pair<uint64_t, uint64_t>>;

Chunks ChunksOf(ThreadPool& pool, uint64_t count, uint64_t grain) {
  Chunks chunks;
  std::mutex mutex;
  pool.ParallelFor(count, grain, [&](uint64_t begin, uint64_t end) {
    const std::lock_guard lock(mutex);
    EXPECT_TRUE(chunks.emplace(begin, end).second);
  });
  return chunks;
}

TEST(ThreadPool, ChunkBordersAreTheSameForEveryNumberOfThreads) {
  const Chunks expected = {{0, 7}, {7, 14}, {14, 20}};
  for (const int threads : {1, 2, 8}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    EXPECT_EQ(ChunksOf(pool, 20, 7), expected);
  }
}

TEST(ThreadPool, NothingToDo) {
  ThreadPool pool(2);
  EXPECT_TRUE(ChunksOf(pool, 0, 5).empty());
}

TEST(ThreadPool, HugeCountsDoNotWrap) {
  ThreadPool pool(2);
  const uint64_t count = UINT64_MAX;
  const uint64_t grain = uint64_t{1} << 63;
  EXPECT_EQ(ChunksOf(pool, count, grain), (Chunks{{0, grain}, {grain, count}}));
}

TEST(ThreadPool, EveryElementOnceOverManyJobs) {
  for (const int threads : {1, 2, 8}) {
    ThreadPool pool(threads);
    for (uint64_t job = 0; job < 500; ++job) {
      std::vector<int> seen(job, 0);
      pool.ParallelFor(job, 3, [&](uint64_t begin, uint64_t end) {
        for (uint64_t i = begin; i < end; ++i) ++seen[i];
      });
      EXPECT_EQ(seen, std::vector<int>(job, 1));
    }
  }
}

TEST(ThreadPool, OneThreadRunsInOrderOnTheCaller) {
  ThreadPool pool(1);
  const auto caller = std::this_thread::get_id();
  std::vector<uint64_t> begins;
  pool.ParallelFor(10, 2, [&](uint64_t begin, uint64_t) {
    EXPECT_EQ(std::this_thread::get_id(), caller);
    begins.push_back(begin);
  });
  EXPECT_EQ(begins, (std::vector<uint64_t>{0, 2, 4, 6, 8}));
}

TEST(ThreadPool, LoopInsideALoopIsServedWhereItStands) {
  ThreadPool pool(4);
  std::atomic<uint64_t> total = 0;
  pool.ParallelFor(8, 1, [&](uint64_t, uint64_t) {
    const auto outer = std::this_thread::get_id();
    pool.ParallelFor(10, 3, [&](uint64_t begin, uint64_t end) {
      EXPECT_EQ(std::this_thread::get_id(), outer);
      total += end - begin;
    });
  });
  EXPECT_EQ(total, 80U);
}

TEST(ThreadPool, WhatAChunkThrowsReachesTheCaller) {
  ThreadPool pool(4);
  for (uint64_t bad = 0; bad < 64; ++bad) {
    EXPECT_THROW(pool.ParallelFor(64, 1,
                                  [&](uint64_t begin, uint64_t) {
                                    if (begin >= bad) throw std::bad_alloc();
                                  }),
                 std::bad_alloc);
    std::atomic<uint64_t> total = 0;
    pool.ParallelFor(64, 1, [&](uint64_t begin, uint64_t end) { total += end - begin; });
    EXPECT_EQ(total, 64U);
  }
}

TEST(ThreadPool, TwoPoolsAtOnce) {
  ThreadPool first(2);
  std::atomic<uint64_t> total = 0;
  std::thread other([&] {
    ThreadPool second(2);
    for (int i = 0; i < 100; ++i) {
      second.ParallelFor(64, 1, [&](uint64_t begin, uint64_t end) { total += end - begin; });
    }
  });
  for (int i = 0; i < 100; ++i) {
    first.ParallelFor(64, 1, [&](uint64_t begin, uint64_t end) { total += end - begin; });
  }
  other.join();
  EXPECT_EQ(total, 12800U);
}

}  // namespace
}  // namespace slim
