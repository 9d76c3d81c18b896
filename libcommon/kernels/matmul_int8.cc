#include <cassert>
#include <vector>

#include "kernels/int8_dot.h"
#include "kernels/matmul.h"
#include "kernels/matmul_tile.h"
#include "kernels/reduce.h"

namespace slim {

void MatMulInt8(const int8_t* x, uint64_t t, const int8_t* w, uint64_t n, uint64_t k, int32_t* y,
                ThreadPool& pool) {
  assert(k <= (uint64_t{1} << 16));
  std::vector<int32_t> x_sum(t);
  for (uint64_t i = 0; i < t; ++i) x_sum[i] = SumInt8(x + i * k, k);
  const Int8BlockFunction multiply = ChooseInt8Block();
  pool.ParallelFor(n, TileRows(n, k / 4, pool.threads()), [&](uint64_t begin, uint64_t end) {
    multiply({x, x_sum.data(), t, w + begin * k, end - begin, k, y + begin, n});
  });
}

}  // namespace slim
