#include "quant/weight_gptq.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/matmul.h"
#include "kernels/quantize.h"
#include "kernels/reduce.h"
#include "quant/cholesky.h"

namespace slim {
namespace {

constexpr uint64_t kRowsPerTask = 8;
constexpr uint64_t kRowsAtATime = 512;
constexpr uint64_t kColumnsPerTask = 64;
constexpr uint64_t kBlockColumns = 128;

Status CheckFinite(std::span<const float> moments, uint64_t k) {
  for (uint64_t i = 0; i < k; ++i) {
    if (!AllFinite(moments.data() + i * k, i + 1))
      return InputError("QU-gptq", "the second moments of its inputs are not finite");
  }
  return {};
}

// How much of the error of column i goes to column c > i: the unit upper U of H = U D Uᵀ. The
// minimum over all later columns of the error at the outputs, which GPTQ finds with the Cholesky
// factor of H⁻¹, follows from U without an inverse: column c, before it is rounded, is
// w[c] + Σ_{i<c} (w[i] − ŵ[i]) U[i, c]. Held as the lower factor of H with its columns turned
// round, in the lower triangle of the moments' memory; the upper one keeps the moments for another
// try.
class Feedback {
 public:
  static Result<Feedback> Make(std::vector<float> turned, uint64_t k, double damping,
                               ThreadPool& pool) {
    SLIM_TRY(CheckFinite(turned, k));
    std::vector<float> diagonal(k);
    double trace = 0;
    for (uint64_t i = 0; i < k; ++i) {
      diagonal[i] = turned[i * k + i];
      trace += diagonal[i];
    }
    const double mean = trace > 0 ? trace / static_cast<double>(k) : 1.0;
    pool.ParallelFor(k, kColumnsPerTask, [&](uint64_t first, uint64_t last) {
      for (uint64_t j = first; j < last; ++j) {
        for (uint64_t i = j + 1; i < k; ++i) turned[j * k + i] = turned[i * k + j];
      }
    });
    for (double share = std::max(damping, 1e-6); share < 1e3; share *= 10) {
      pool.ParallelFor(k, kColumnsPerTask, [&](uint64_t first, uint64_t last) {
        for (uint64_t i = first; i < last; ++i) {
          const float* moments = turned.data() + (k - 1 - i) * k + (k - 1);
          for (uint64_t j = 0; j < i; ++j) turned[i * k + j] = *(moments - j);
          const float square = diagonal[k - 1 - i];
          turned[i * k + i] =
              (square == 0 ? static_cast<float>(mean) : square) + static_cast<float>(share * mean);
        }
      });
      if (CholeskyLower(turned, k, pool)) return Feedback(std::move(turned), k, pool);
    }
    return InputError("QU-gptq", "the second moments of its inputs are broken");
  }

  // U[from, to) of row i, i < from.
  void CopyRow(uint64_t i, uint64_t from, uint64_t to, float* row) const {
    const float* turned = turned_.data() + (k_ - 1 - i) * k_ + (k_ - 1);
    for (uint64_t c = from; c < to; ++c) row[c - from] = *(turned - c);
  }

 private:
  Feedback(std::vector<float> turned, uint64_t k, ThreadPool& pool)
      : turned_(std::move(turned)), k_(k) {
    std::vector<float> diagonal(k);
    for (uint64_t i = 0; i < k; ++i) diagonal[i] = turned_[i * k + i];
    pool.ParallelFor(k, kColumnsPerTask, [&](uint64_t first, uint64_t last) {
      for (uint64_t i = first; i < last; ++i) {
        for (uint64_t j = 0; j < i; ++j) turned_[i * k + j] /= diagonal[j];
      }
    });
  }

  std::vector<float> turned_;
  uint64_t k_;
};

// Rows, kRowsAtATime together, through all columns: a block of columns by itself, then what it lost
// to all columns behind it as one product.
class ColumnLoop {
 public:
  ColumnLoop(const WeightRows& rows, const WeightSettings& settings, const IntegerGrid& grid,
             const Feedback& feedback, std::span<const float> importance, bool as_written,
             IntegerWeight& out, ThreadPool& pool)
      : rows_(rows),
        settings_(settings),
        grid_(grid),
        feedback_(feedback),
        importance_(importance),
        as_written_(as_written),
        out_(out),
        pool_(pool),
        k_(rows.k()),
        groups_(k_ / grid.group_size) {}

  void Run(uint64_t first, uint64_t last) {
    first_ = first;
    count_ = last - first;
    weight_.resize(count_ * k_);
    target_.resize(count_ * k_);
    ForRows([&](uint64_t r) { Start(r); });
    for (uint64_t begin = 0; begin < k_; begin = end_) {
      begin_ = begin;
      end_ = BlockEnd();
      CopyBlock();
      error_.resize(count_ * (end_ - begin_));
      ForRows([&](uint64_t r) { RoundBlock(r); });
      SpreadBlock();
    }
  }

 private:
  template <class Body>
  void ForRows(const Body& body) {
    pool_.ParallelFor(count_, kRowsPerTask, [&](uint64_t begin, uint64_t end) {
      for (uint64_t r = begin; r < end; ++r) body(r);
    });
  }

  void Start(uint64_t r) {
    const auto row = std::span(weight_).subspan(r * k_, k_);
    rows_.Load(first_ + r, row);
    if (groups_ == 1) ChooseRange(r, 0, row);
    for (uint64_t j = 0; j < k_ && as_written_; ++j) row[j] = importance_[j] == 0 ? 0.0F : row[j];
    std::copy(row.begin(), row.end(), target_.begin() + static_cast<ptrdiff_t>(r * k_));
  }

  // Groups begin where blocks begin, or end before the block does.
  uint64_t BlockEnd() const {
    const uint64_t group = grid_.group_size;
    uint64_t end = begin_ + kBlockColumns;
    if (as_written_) {
      end = begin_ + std::max<uint64_t>(settings_.block_size, 1);
    } else if (groups_ > 1) {
      end = group <= kBlockColumns ? begin_ + kBlockColumns / group * group
                                   : std::min(end, (begin_ / group + 1) * group);
    }
    return std::min(end, k_);
  }

  // U of the columns of the block and of the groups that begin in it.
  void CopyBlock() {
    const uint64_t group = grid_.group_size;
    const uint64_t reach = groups_ > 1 ? std::max(end_, (end_ + group - 1) / group * group) : end_;
    width_ = reach - begin_;
    local_.resize(width_ * width_);
    for (uint64_t i = 0; i + 1 < width_; ++i)
      feedback_.CopyRow(begin_ + i, begin_ + i + 1, reach, local_.data() + i * width_ + i + 1);
  }

  void ChooseRange(uint64_t r, uint64_t group, std::span<const float> values) {
    const QuantizationRange range = ChooseUnitRange(
        values, importance_.subspan(group * grid_.group_size, grid_.group_size), settings_, grid_);
    out_.scale[(first_ + r) * groups_ + group] = range.scale;
    out_.offset[(first_ + r) * groups_ + group] = range.offset;
  }

  // The range of a group from what its columns are when those before `from` are rounded and no
  // others: then each takes from those between what it would have to make up for.
  void ChooseGroupRange(uint64_t r, uint64_t group, uint64_t from) {
    const uint64_t last = (group + 1) * grid_.group_size;
    std::vector<float> values(target_.begin() + static_cast<ptrdiff_t>(r * k_ + from),
                              target_.begin() + static_cast<ptrdiff_t>(r * k_ + last));
    for (uint64_t i = 0; i < values.size(); ++i) {
      const float moved = weight_[r * k_ + from + i] - values[i];
      Add(moved, local_.data() + (from - begin_ + i) * width_ + (from - begin_), i + 1,
          values.size(), values.data());
    }
    ChooseRange(r, group, std::span(values).last(grid_.group_size));
  }

  static void Add(float factor, const float* from, uint64_t begin, uint64_t end, float* to) {
    for (uint64_t c = begin; c < end; ++c) to[c] += factor * from[c];
  }

  void RoundBlock(uint64_t r) {
    const uint64_t group_size = grid_.group_size;
    const uint64_t width = end_ - begin_;
    if (groups_ > 1 && as_written_) {
      for (uint64_t group = (begin_ + group_size - 1) / group_size; group * group_size < end_;
           ++group)
        ChooseGroupRange(r, group, begin_);
    }
    float* target = target_.data() + r * k_ + begin_;
    const float* weight = weight_.data() + r * k_ + begin_;
    int8_t* codes = out_.codes.as<int8_t>().data() + (first_ + r) * k_ + begin_;
    for (uint64_t j = 0; j < width; ++j) {
      const uint64_t column = begin_ + j;
      const uint64_t group = column / group_size;
      if (groups_ > 1 && !as_written_ && column % group_size == 0)
        ChooseGroupRange(r, group, column);
      const float scale = out_.scale[(first_ + r) * groups_ + group];
      const float offset = out_.offset[(first_ + r) * groups_ + group];
      QuantizeRow(target + j, 1, scale, offset, DType::kF32, LowestCode(grid_.bits),
                  HighestCode(grid_.bits), codes + j);
      const float error = weight[j] - (static_cast<float>(codes[j]) - offset) * scale;
      error_[r * width + j] = error;
      Add(error, local_.data() + j * width_, j + 1, width, target);
    }
  }

  // The errors of the block to the columns behind it.
  void SpreadBlock() {
    const uint64_t width = end_ - begin_;
    const uint64_t behind = k_ - end_;
    if (behind == 0) return;
    factors_.resize(behind * width);
    pool_.ParallelFor(behind, kColumnsPerTask, [&](uint64_t first, uint64_t last) {
      std::vector<float> row(last - first);
      for (uint64_t i = 0; i < width; ++i) {
        feedback_.CopyRow(begin_ + i, end_ + first, end_ + last, row.data());
        for (uint64_t c = first; c < last; ++c) factors_[c * width + i] = row[c - first];
      }
    });
    spread_.resize(count_ * behind);
    const TensorView factors{DType::kF32, {behind, width}, std::as_bytes(std::span(factors_))};
    MatMul(error_.data(), count_, factors, spread_.data(), pool_);
    ForRows([&](uint64_t r) {
      Add(1.0F, spread_.data() + r * behind, 0, behind, target_.data() + r * k_ + end_);
    });
  }

  const WeightRows& rows_;
  const WeightSettings& settings_;
  const IntegerGrid& grid_;
  const Feedback& feedback_;
  const std::span<const float> importance_;
  const bool as_written_;
  IntegerWeight& out_;
  ThreadPool& pool_;
  const uint64_t k_;
  const uint64_t groups_;
  uint64_t first_ = 0;  // of the rows
  uint64_t count_ = 0;
  uint64_t begin_ = 0;  // of the block of columns
  uint64_t end_ = 0;
  std::vector<float> weight_;  // [count, k]
  std::vector<float> target_;  // [count, k]: what is rounded, as far as the blocks before tell
  std::vector<float> error_;   // [count, block]
  uint64_t width_ = 0;
  std::vector<float> local_;    // [width, width]: U of the block
  std::vector<float> factors_;  // [columns behind the block, block]
  std::vector<float> spread_;   // [count, columns behind the block]
};

}  // namespace

Result<IntegerWeight> QuantizeGptq(const WeightRows& rows, const WeightSettings& settings,
                                   std::vector<float> moments, bool as_written, ThreadPool& pool) {
  const uint64_t k = rows.k();
  std::vector<float> importance(k);
  for (uint64_t i = 0; i < k; ++i) importance[i] = moments[i * k + i];
  SLIM_ASSIGN(const Feedback feedback,
              Feedback::Make(std::move(moments), k, settings.damping, pool));
  const IntegerGrid grid = GridOf(settings, k, DType::kF32);
  IntegerWeight weight = AllocateIntegers(rows, grid);
  ColumnLoop loop(rows, settings, grid, feedback, importance, as_written, weight, pool);
  for (uint64_t first = 0; first < rows.n(); first += kRowsAtATime)
    loop.Run(first, std::min(first + kRowsAtATime, rows.n()));
  return weight;
}

}  // namespace slim
