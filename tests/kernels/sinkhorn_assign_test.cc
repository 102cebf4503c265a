#include "kernels/sinkhorn_assign/sinkhorn_assign.h"

#include <algorithm>
#include <numeric>
#include <set>

#include "tests/kernels/kernel_test.h"

namespace penstock::kernels {
namespace {

using SinkhornTest = KernelTest<SinkhornImpl, SinkhornImpls>;
INSTANTIATE_TEST_SUITE_P(All, SinkhornTest, testing::ValuesIn(Names(SinkhornImpls())), ParamName);

struct Assignment {
  std::vector<float> potential, plan, weights;
  std::vector<int32_t> ids;
  int64_t unserved = 0;
  int64_t degenerate = 0;
};

// args.rows from the size of logits; outputs poisoned before. `start`: g, or empty for zeros.
Assignment Compute(const SinkhornImpl& impl, SinkhornArgs args, const std::vector<float>& logits,
                   const std::vector<float>& start = {}) {
  args.rows = static_cast<int64_t>(logits.size()) / args.experts;
  Assignment a;
  a.potential = start.empty() ? std::vector<float>(static_cast<size_t>(args.experts), 0) : start;
  a.plan = Poison(args.rows * args.experts);
  a.weights = Poison(args.rows * args.k);
  a.ids.assign(static_cast<size_t>(args.rows * args.k), -77);
  GuardedWorkspace workspace(SinkhornWorkspaceBytes(args.rows, args.experts, args.k));
  args.logits = logits.data();
  args.potential = a.potential.data();
  args.plan = a.plan.data();
  args.weights = a.weights.data();
  args.ids = a.ids.data();
  args.unserved = &a.unserved;
  args.degenerate_rows = &a.degenerate;
  args.workspace = workspace.get();
  EXPECT_TRUE(impl.run(args).ok());
  EXPECT_TRUE(workspace.GuardIntact());
  return a;
}

SinkhornArgs Args(int64_t experts, int64_t k = 1, int64_t iterations = 8) {
  SinkhornArgs args;
  args.experts = experts;
  args.k = k;
  args.iterations = iterations;
  return args;
}

// Logits with an expert bias: the loads are far apart before balancing.
std::vector<float> Skewed(int64_t rows, int64_t experts, uint32_t seed, float spread = 1.0f) {
  std::vector<float> logits = RandomFloats(rows * experts, seed, spread);
  const std::vector<float> bias = RandomFloats(experts, seed + 1000, 2.0f * spread);
  for (size_t i = 0; i < logits.size(); ++i) logits[i] += bias[i % bias.size()];
  return logits;
}

std::vector<double> Sums(const std::vector<float>& plan, int64_t experts, bool of_rows) {
  const size_t columns = static_cast<size_t>(experts);
  std::vector<double> sums(of_rows ? plan.size() / columns : columns, 0);
  for (size_t i = 0; i < plan.size(); ++i) {
    sums[of_rows ? i / columns : i % columns] += static_cast<double>(plan[i]);
  }
  return sums;
}

std::vector<int64_t> Loads(const std::vector<int32_t>& ids, int64_t experts) {
  std::vector<int64_t> loads(static_cast<size_t>(experts), 0);
  for (int32_t id : ids) {
    if (id >= 0) ++loads[static_cast<size_t>(id)];
  }
  return loads;
}

std::string Case(int64_t rows, int64_t experts, int64_t k, uint32_t seed) {
  return "rows=" + std::to_string(rows) + " experts=" + std::to_string(experts) +
         " k=" + std::to_string(k) + " seed=" + std::to_string(seed);
}

TEST_P(SinkhornTest, EqualsReference) {
  for (int64_t experts : {1, 2, 8, 15, 16, 17, 60, 64, 127}) {
    for (int64_t rows : {1, 2, 7, 64, 131}) {
      for (int64_t k : {int64_t{1}, int64_t{2}, int64_t{8}}) {
        if (k > experts) continue;
        const uint32_t seed = static_cast<uint32_t>(experts * 1000 + rows);
        SCOPED_TRACE(Case(rows, experts, k, seed));
        SinkhornArgs args = Args(experts, k);
        const std::vector<float> logits = Skewed(rows, experts, seed);
        const std::vector<int32_t> capacity(static_cast<size_t>(experts),
                                            static_cast<int32_t>(rows * k / experts));
        args.capacity = capacity.data();
        args.temperature = 0.7f;
        const Assignment a = Compute(impl(), args, logits);
        const Assignment e = Compute(reference(), args, logits);
        EXPECT_LE(RelativeError(a.plan, e.plan), kTolerance);
        EXPECT_LE(RelativeError(a.weights, e.weights), kTolerance);
        EXPECT_EQ(a.unserved, e.unserved);
        // A single row's plan is c: its experts tie but for rounding.
        if (rows == 1) continue;
        EXPECT_EQ(a.ids, e.ids);
      }
    }
  }
}

TEST_P(SinkhornTest, MassesMasksAndTemperatureEqualReference) {
  constexpr int64_t kRows = 53, kExperts = 21;
  for (uint32_t seed = 1; seed <= 8; ++seed) {
    SCOPED_TRACE(Case(kRows, kExperts, 3, seed));
    std::vector<float> logits = Skewed(kRows, kExperts, seed, 3.0f);
    std::mt19937 bits(seed);
    for (float& z : logits) {
      if (bits() % 5 == 0) z = bits() % 2 == 0 ? -kInf : kNan;
    }
    std::fill_n(logits.begin() + 5 * kExperts, kExperts, -kInf);
    std::vector<float> row_mass(kRows), expert_mass(kExperts);
    for (float& mass : row_mass) mass = static_cast<float>(bits() % 4) * 0.5f;
    for (float& mass : expert_mass) mass = static_cast<float>(bits() % 4);
    std::vector<uint8_t> available(kExperts, 1);
    available[3] = available[20] = 0;
    SinkhornArgs args = Args(kExperts, 3);
    args.temperature = 2.5f;
    args.row_mass = row_mass.data();
    args.expert_mass = expert_mass.data();
    args.available = available.data();
    for (SinkhornWeight weight :
         {SinkhornWeight::kPlan, SinkhornWeight::kSoftmax, SinkhornWeight::kSigmoid}) {
      args.weight = weight;
      const Assignment a = Compute(impl(), args, logits);
      const Assignment e = Compute(reference(), args, logits);
      EXPECT_LE(RelativeError(a.plan, e.plan), kTolerance);
      EXPECT_LE(RelativeError(a.weights, e.weights), kTolerance);
      EXPECT_EQ(a.ids, e.ids);
      EXPECT_EQ(a.unserved, e.unserved);
      EXPECT_EQ(a.degenerate, e.degenerate);
      for (size_t i = 0; i < a.plan.size(); ++i) EXPECT_EQ(a.plan[i] == 0, e.plan[i] == 0);
    }
  }
}

// Plan entries are float32: 1e-6 of a sum of 64 of them.
TEST_P(SinkhornTest, MarginalsHoldAfter64Iterations) {
  constexpr int64_t kRows = 192, kExperts = 24;
  std::vector<float> expert_mass(kExperts);
  std::iota(expert_mass.begin(), expert_mass.end(), 1.0f);
  SinkhornArgs args = Args(kExperts, 1, 64);
  args.expert_mass = expert_mass.data();
  const Assignment a = Compute(impl(), args, Skewed(kRows, kExperts, 3));
  const double total = kExperts * (kExperts + 1) / 2.0;
  const double bound = impl().isa == Isa::kReference ? 1e-6 : 1e-5;
  const std::vector<double> columns = Sums(a.plan, kExperts, false);
  for (size_t e = 0; e < columns.size(); ++e) {
    const double mass = kRows * static_cast<double>(expert_mass[e]) / total;
    EXPECT_NEAR(columns[e] / mass, 1, bound) << e;
  }
  for (double row : Sums(a.plan, kExperts, true)) EXPECT_NEAR(row, 1, bound);
}

// D(g) = sum_t r_t f_t(g) + sum_e c_e g_e never falls: each iteration maximises it in f, then in g.
TEST_P(SinkhornTest, DualObjectiveRises) {
  constexpr int64_t kRows = 96, kExperts = 12;
  const std::vector<float> logits = Skewed(kRows, kExperts, 4, 2.0f);
  double last = -std::numeric_limits<double>::infinity();
  for (int64_t iterations = 1; iterations <= 12; ++iterations) {
    const Assignment a = Compute(impl(), Args(kExperts, 1, iterations), logits);
    double dual = 0;
    for (size_t t = 0; t < kRows; ++t) {
      double sum = 0;
      for (size_t e = 0; e < kExperts; ++e) {
        sum += std::exp(static_cast<double>(logits[t * kExperts + e]) +
                        static_cast<double>(a.potential[e]));
      }
      dual -= std::log(sum);
    }
    for (float g : a.potential) dual += static_cast<double>(g) * kRows / kExperts;
    // g is rounded to float32: 96 rows * 2e-7 * 8.
    EXPECT_GE(dual, last - 2e-4) << "iterations=" << iterations;
    last = dual;
  }
}

TEST_P(SinkhornTest, ConstantAddedToARowChangesNothing) {
  constexpr int64_t kRows = 40, kExperts = 10;
  std::vector<float> logits = RandomFloats(kRows * kExperts, 5);
  // Dyadic logits and constants: the sums are exact.
  for (float& z : logits) z = std::round(z * 64) / 64;
  std::vector<float> shifted = logits;
  for (size_t i = 0; i < shifted.size(); ++i) {
    shifted[i] += static_cast<float>(i / kExperts) * 8.0f - 100.0f;
  }
  const Assignment a = Compute(impl(), Args(kExperts, 2), logits);
  const Assignment b = Compute(impl(), Args(kExperts, 2), shifted);
  EXPECT_EQ(a.ids, b.ids);
  EXPECT_LE(RelativeError(a.plan, b.plan), 1e-6);
  EXPECT_LE(RelativeError(a.potential, b.potential), 1e-6);
}

TEST_P(SinkhornTest, MasksAreExactZeros) {
  const std::vector<float> logits = {1,     -kInf, 2,     0,  //
                                     -kInf, -kInf, -kInf, 5,  // only a masked expert
                                     kNan,  -kInf, 0,     1,  //
                                     3,     -kInf, 1,     kInf};
  const uint8_t available[] = {1, 1, 1, 0};
  SinkhornArgs args = Args(4, 2);
  args.available = available;
  const Assignment a = Compute(impl(), args, logits);
  EXPECT_EQ(a.degenerate, 1);
  EXPECT_EQ(a.potential[1], -kInf);
  EXPECT_EQ(a.potential[3], -kInf);
  for (size_t t = 0; t < 4; ++t) {
    EXPECT_EQ(a.plan[t * 4 + 1], 0.0f);
    EXPECT_EQ(a.plan[t * 4 + 3], 0.0f);
  }
  for (size_t e = 0; e < 4; ++e) EXPECT_EQ(a.plan[4 + e], 0.0f);
  EXPECT_EQ(a.plan[8], 0.0f);
  EXPECT_EQ(a.ids[2], -1);
  EXPECT_EQ(a.ids[3], -1);
  EXPECT_EQ(a.ids[4], 2);
  EXPECT_EQ(a.ids[5], -1);
  EXPECT_EQ(a.unserved, 1);  // row 2 has one expert for two slots
  // Three rows over experts 0 and 2, in equal parts.
  EXPECT_NEAR(a.plan[0] + a.plan[12], 1.5, 1e-5);
}

TEST_P(SinkhornTest, EverythingMaskedServesNobody) {
  const Assignment a = Compute(impl(), Args(3, 2), std::vector<float>(12, -kInf));
  EXPECT_EQ(a.degenerate, 4);
  EXPECT_EQ(a.unserved, 0);
  EXPECT_EQ(a.ids, std::vector<int32_t>(8, -1));
  EXPECT_EQ(a.weights, std::vector<float>(8, 0));
  EXPECT_EQ(a.plan, std::vector<float>(12, 0));
}

TEST_P(SinkhornTest, CapacityIsNeverExceededAndNobodyWaitsBesideAFreePlace) {
  for (uint32_t seed = 1; seed <= 40; ++seed) {
    std::mt19937 bits(seed);
    const int64_t rows = 1 + bits() % 90, experts = 1 + bits() % 20;
    const int64_t k = 1 + bits() % static_cast<uint32_t>(std::min<int64_t>(experts, 3));
    SCOPED_TRACE(Case(rows, experts, k, seed));
    SinkhornArgs args = Args(experts, k, 4);
    std::vector<int32_t> capacity(static_cast<size_t>(experts));
    for (int32_t& c : capacity) c = static_cast<int32_t>(bits() % 12);
    args.capacity = capacity.data();
    const Assignment a = Compute(impl(), args, Skewed(rows, experts, seed));
    const std::vector<int64_t> loads = Loads(a.ids, experts);
    int64_t empty = 0;
    for (int64_t t = 0; t < rows; ++t) {
      std::set<int32_t> held;
      for (int64_t i = 0; i < k; ++i) {
        const int32_t id = a.ids[static_cast<size_t>(t * k + i)];
        ASSERT_LT(id, experts);
        EXPECT_TRUE(id < 0 || held.insert(id).second);
        empty += id < 0;
      }
      if (static_cast<int64_t>(held.size()) == k) continue;
      for (int32_t e = 0; e < experts; ++e) {
        const size_t at = static_cast<size_t>(e);
        EXPECT_TRUE(held.count(e) == 1 || loads[at] == capacity[at]);
      }
    }
    EXPECT_EQ(a.unserved, empty);
    for (size_t e = 0; e < loads.size(); ++e) EXPECT_LE(loads[e], capacity[e]);
  }
}

TEST_P(SinkhornTest, BalancesWhatArgMaxLeavesSkewed) {
  constexpr int64_t kRows = 512, kExperts = 16;
  const std::vector<float> logits = Skewed(kRows, kExperts, 9);
  std::vector<int64_t> argmax(kExperts, 0);
  for (int64_t t = 0; t < kRows; ++t) {
    const auto row = logits.begin() + t * kExperts;
    ++argmax[static_cast<size_t>(std::max_element(row, row + kExperts) - row)];
  }
  const std::vector<int64_t> loads = Loads(Compute(impl(), Args(kExperts), logits).ids, kExperts);
  EXPECT_GT(*std::max_element(argmax.begin(), argmax.end()), 3 * kRows / kExperts);
  EXPECT_LT(*std::max_element(loads.begin(), loads.end()), 3 * kRows / kExperts / 2);
}

// Two experts 400 apart, in every row: exp underflows in float32, logarithms do not.
TEST_P(SinkhornTest, UnderflowingColumnIsBalancedFromLogarithms) {
  constexpr int64_t kRows = 8;
  std::vector<float> logits;
  for (int64_t t = 0; t < kRows; ++t) {
    logits.push_back(400);
    logits.push_back(static_cast<float>(t) / 8);
  }
  const Assignment a = Compute(impl(), Args(2, 1, 4), logits);
  const std::vector<double> columns = Sums(a.plan, 2, false);
  EXPECT_NEAR(columns[0], 4, 1e-4);
  EXPECT_NEAR(columns[1], 4, 1e-4);
  const std::vector<int64_t> loads = Loads(a.ids, 2);
  EXPECT_EQ(loads[0], 4);
  EXPECT_EQ(loads[1], 4);
}

TEST_P(SinkhornTest, WarmStartContinues) {
  const std::vector<float> logits = Skewed(70, 9, 11);
  const Assignment half = Compute(impl(), Args(9, 1, 3), logits);
  const Assignment rest = Compute(impl(), Args(9, 1, 3), logits, half.potential);
  const Assignment whole = Compute(impl(), Args(9, 1, 6), logits);
  // Between the calls the reference's float64 is rounded.
  EXPECT_LE(RelativeError(rest.potential, whole.potential), 1e-6);
  if (impl().isa != Isa::kReference) {
    EXPECT_TRUE(SameBits(rest.potential.data(), whole.potential.data(), 9));
  }
  EXPECT_EQ(rest.ids, whole.ids);
  std::vector<float> broken(9, kNan);
  broken[1] = kInf;
  const Assignment cold = Compute(impl(), Args(9, 1, 6), logits, broken);
  EXPECT_TRUE(SameBits(cold.potential.data(), whole.potential.data(), 9));
}

TEST_P(SinkhornTest, FewerRowsThanExpertsAndOneExpert) {
  const Assignment few = Compute(impl(), Args(7, 2, 16), Skewed(2, 7, 12));
  for (double column : Sums(few.plan, 7, false)) EXPECT_NEAR(column, 2.0 / 7, 1e-5);
  const Assignment one = Compute(impl(), Args(1), {3.0f, -kInf, 0.5f});
  EXPECT_EQ(one.ids, (std::vector<int32_t>{0, -1, 0}));
  EXPECT_NEAR(one.weights[0], 1, 1e-6);
}

TEST_P(SinkhornTest, TiesGoToTheLowerExpertAndRow) {
  const int32_t capacity[] = {2, 2, 0};
  SinkhornArgs args = Args(3);
  args.capacity = capacity;
  const Assignment a = Compute(impl(), args, std::vector<float>(15, 0.25f));
  EXPECT_EQ(a.ids, (std::vector<int32_t>{0, 0, 1, 1, -1}));
  EXPECT_EQ(a.unserved, 1);
}

TEST_P(SinkhornTest, TwoRunsAreEqualBitForBit) {
  const std::vector<float> logits = Skewed(130, 33, 13, 3.0f);
  const std::vector<int32_t> capacity(33, 9);
  SinkhornArgs args = Args(33, 2);
  args.capacity = capacity.data();
  const Assignment a = Compute(impl(), args, logits), b = Compute(impl(), args, logits);
  EXPECT_EQ(a.ids, b.ids);
  EXPECT_TRUE(SameBits(a.plan.data(), b.plan.data(), 130 * 33));
  EXPECT_TRUE(SameBits(a.weights.data(), b.weights.data(), 130 * 2));
}

TEST_P(SinkhornTest, RefusesWhatItCannotDo) {
  EXPECT_TRUE(impl().run(Args(4, 2)).ok());  // no rows
  EXPECT_EQ(impl().run(Args(4, 5)).code, Code::kInvalidArgument);
  EXPECT_EQ(impl().run(Args(4, 0)).code, Code::kInvalidArgument);
  EXPECT_EQ(impl().run(Args(4, 1, 0)).code, Code::kInvalidArgument);
  SinkhornArgs args = Args(4);
  for (float temperature : {0.0f, -1.0f, kNan, kInf}) {
    args.temperature = temperature;
    EXPECT_EQ(impl().run(args).code, Code::kInvalidArgument);
  }
  args = Args(2);
  args.rows = 1;
  const float logits[] = {0, 0};
  float potential[] = {0, 0}, weight = 0;
  int32_t id = 0;
  args.logits = logits;
  args.potential = potential;
  args.ids = &id;
  args.weights = &weight;
  EXPECT_EQ(impl().run(args).code, Code::kInvalidArgument);  // no workspace
  GuardedWorkspace workspace(SinkhornWorkspaceBytes(1, 2, 1));
  args.workspace = workspace.get();
  for (float mass : {-1.0f, kNan, kInf}) {
    args.row_mass = &mass;
    EXPECT_EQ(impl().run(args).code, Code::kInvalidArgument);
  }
  args.row_mass = nullptr;
  const int32_t capacity[] = {1, -1};
  args.capacity = capacity;
  EXPECT_EQ(impl().run(args).code, Code::kInvalidArgument);
}

}  // namespace
}  // namespace penstock::kernels
