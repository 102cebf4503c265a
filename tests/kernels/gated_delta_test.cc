#include "kernels/gated_delta/gated_delta.h"

#include <algorithm>

#include "tests/kernels/kernel_test.h"

namespace penstock::kernels {
namespace {

using GatedDeltaTest = KernelTest<GatedDeltaImpl, GatedDeltaImpls>;
INSTANTIATE_TEST_SUITE_P(All, GatedDeltaTest, testing::ValuesIn(Names(GatedDeltaImpls())),
                         ParamName);

constexpr StateForm kForms[] = {StateForm::kAuto, StateForm::kRecurrent, StateForm::kChunkwise};

struct Problem {
  int64_t key_heads, heads, dk, dv;
  std::vector<int64_t> offsets;
  std::vector<float> q, k, v, g, beta, state;
  bool normalise = true;
  float scale = 0;

  int64_t sequences() const { return static_cast<int64_t>(offsets.size()) - 1; }
  int64_t tokens() const { return offsets.back(); }
};

struct Answer {
  std::vector<float> y, state;
};

std::vector<float> Uniform(int64_t count, float low, float high, uint32_t seed) {
  std::mt19937 bits(seed);
  std::uniform_real_distribution<float> draw(low, high);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& v : values) v = draw(bits);
  return values;
}

// Log-gates uniform in [-strongest, 0], beta in [0, most_beta].
Problem RandomProblem(std::vector<int64_t> offsets, int64_t key_heads, int64_t heads, int64_t dk,
                      int64_t dv, float strongest, float most_beta = 1, uint32_t seed = 1) {
  Problem p;
  p.key_heads = key_heads, p.heads = heads, p.dk = dk, p.dv = dv;
  p.offsets = std::move(offsets);
  p.q = RandomFloats(p.tokens() * key_heads * dk, seed);
  p.k = RandomFloats(p.tokens() * key_heads * dk, seed + 1);
  p.v = RandomFloats(p.tokens() * heads * dv, seed + 2);
  p.g = Uniform(p.tokens() * heads, -strongest, 0, seed + 3);
  p.beta = Uniform(p.tokens() * heads, 0, most_beta, seed + 4);
  p.state = RandomFloats(p.sequences() * heads * StateFloats(dk, dv), seed + 5);
  return p;
}

std::vector<float> Outputs(const GatedDeltaImpl& impl, const Problem& p, StateForm form,
                           std::vector<float>* state) {
  std::vector<float> y = Poison(p.tokens() * p.heads * p.dv);
  GuardedWorkspace workspace(GatedDeltaWorkspaceBytes(p.dk));
  EXPECT_TRUE(impl.run({p.sequences(), p.key_heads, p.heads, p.dk, p.dv, p.offsets.data(),
                        p.q.data(), p.k.data(), p.v.data(), p.g.data(), p.beta.data(),
                        state->data(), y.data(), p.scale, p.normalise, form, workspace.get()})
                  .ok());
  EXPECT_TRUE(workspace.GuardIntact());
  return y;
}

// The state comes without the columns that pad the last panel.
Answer Compute(const GatedDeltaImpl& impl, const Problem& p, StateForm form) {
  std::vector<float> state = p.state;
  Answer a = {Outputs(impl, p, form, &state), {}};
  const int64_t one = StateFloats(p.dk, p.dv);
  for (int64_t at = 0; at < p.sequences() * p.heads * one; at += one) {
    for (int64_t c = 0; c < p.dk; ++c) {
      for (int64_t j = 0; j < p.dv; ++j) a.state.push_back(state[at + StateIndex(p.dk, c, j)]);
    }
  }
  return a;
}

// Tokens first..last of a problem, as a problem of one sequence that begins with `state`.
Problem Part(const Problem& p, int64_t first, int64_t last, std::vector<float> state) {
  const auto cut = [&](const std::vector<float>& x, int64_t width) {
    return std::vector<float>(x.begin() + first * width, x.begin() + last * width);
  };
  Problem part = p;
  part.offsets = {0, last - first};
  part.q = cut(p.q, p.key_heads * p.dk);
  part.k = cut(p.k, p.key_heads * p.dk);
  part.v = cut(p.v, p.heads * p.dv);
  part.g = cut(p.g, p.heads);
  part.beta = cut(p.beta, p.heads);
  part.state = std::move(state);
  return part;
}

void ExpectClose(const Answer& actual, const Answer& expected, const std::string& what) {
  EXPECT_LE(RelativeError(actual.y, expected.y), kTolerance) << what;
  EXPECT_LE(RelativeError(actual.state, expected.state), kTolerance) << what;
}

TEST_P(GatedDeltaTest, MatchesReferenceAtTheEdges) {
  const int64_t dims[][2] = {{64, 64}, {60, 20}, {32, 128}, {1, 1}, {17, 33}, {128, 80}};
  for (const int64_t tokens : {0, 1, 7, 8, 9, 15, 16, 17, 22, 63, 64, 65, 1000}) {
    for (const auto& d : dims) {
      if (tokens == 1000 && d[0] * d[1] > 4096) continue;
      const Problem p = RandomProblem({0, tokens}, 1, 2, d[0], d[1], 0.5f);
      const Answer expected = Compute(reference(), p, StateForm::kAuto);
      for (StateForm form : kForms) {
        ExpectClose(Compute(impl(), p, form), expected,
                    "tokens " + std::to_string(tokens) + " dk " + std::to_string(d[0]) + " dv " +
                        std::to_string(d[1]) + " form " + std::to_string(static_cast<int>(form)));
      }
    }
  }
}

TEST_P(GatedDeltaTest, FormsAgreeUnderStrongGates) {
  for (const float strongest : {0.0f, 0.05f, 1.0f, 30.0f}) {
    for (const int64_t tokens : {16, 100, 4096}) {
      Problem p = RandomProblem({0, tokens}, 1, 1, 24, 24, strongest);
      ExpectClose(Compute(impl(), p, StateForm::kChunkwise),
                  Compute(impl(), p, StateForm::kRecurrent), "uniform");
      std::fill(p.g.begin(), p.g.end(), -strongest);
      ExpectClose(Compute(impl(), p, StateForm::kChunkwise),
                  Compute(impl(), p, StateForm::kRecurrent), "constant");
    }
  }
}

// beta = 2 reflects the state at each key: its length stays, and so does the error's.
TEST_P(GatedDeltaTest, BetaUpToTwoStaysExact) {
  const Problem p = RandomProblem({0, 200}, 1, 1, 32, 32, 0.02f, 2);
  const Answer expected = Compute(reference(), p, StateForm::kAuto);
  for (StateForm form : kForms) ExpectClose(Compute(impl(), p, form), expected, "beta to 2");
}

// d = 1 with k = 1 as it is: u = beta (v - a S). S: 2, then 1 + 1/2 (5 - 1) = 3.
TEST_P(GatedDeltaTest, ComputesItsDefinition) {
  Problem p;
  p.key_heads = p.heads = p.dk = p.dv = 1;
  p.offsets = {0, 2};
  p.q = {1, 2}, p.k = {1, 1}, p.v = {2, 5}, p.g = {0, std::log(0.5f)}, p.beta = {1, 0.5f};
  p.state.assign(StateFloats(1, 1), 0.0f);
  p.normalise = false;
  p.scale = 0.5f;
  for (StateForm form : kForms) {
    const Answer a = Compute(impl(), p, form);
    EXPECT_FLOAT_EQ(a.y[0], 0.5f * 1 * 2);
    EXPECT_FLOAT_EQ(a.y[1], 0.5f * 2 * 3);
    EXPECT_FLOAT_EQ(a.state[0], 3);
  }
}

TEST_P(GatedDeltaTest, BetaZeroOnlyDecays) {
  constexpr int64_t kTokens = 21, d = 12;
  Problem p = RandomProblem({0, kTokens}, 1, 1, d, d, 0.3f);
  std::fill(p.beta.begin(), p.beta.end(), 0.0f);
  double log_decay = 0;
  for (float g : p.g) log_decay += static_cast<double>(g);
  std::vector<float> expected;
  for (int64_t c = 0; c < d; ++c) {
    for (int64_t j = 0; j < d; ++j) {
      expected.push_back(static_cast<float>(std::exp(log_decay) *
                                            static_cast<double>(p.state[StateIndex(d, c, j)])));
    }
  }
  for (StateForm form : kForms) {
    EXPECT_LE(RelativeError(Compute(impl(), p, form).state, expected), kTolerance);
  }
}

// Orthonormal keys, beta 1, no decay: every value stored is read back, also over one overwritten.
TEST_P(GatedDeltaTest, OrthonormalKeysRecallExactly) {
  constexpr int64_t d = 24, dv = 20;
  Problem p = RandomProblem({0, 2 * d}, 1, 1, d, dv, 0.0f);
  std::fill(p.state.begin(), p.state.end(), 0.0f);
  std::fill(p.beta.begin(), p.beta.end(), 1.0f);
  std::fill(p.q.begin(), p.q.end(), 0.0f);
  std::fill(p.k.begin(), p.k.end(), 0.0f);
  p.normalise = false;
  p.scale = 1;
  // Token t < d stores value t under key t. Token d + t stores another one under key t and reads
  // key t + 1, which still has its first value; the last reads key 0, overwritten.
  for (int64_t t = 0; t < d; ++t) {
    p.k[t * d + t] = p.k[(d + t) * d + t] = 1;
    p.q[t * d + t] = p.q[(d + t) * d + (t + 1) % d] = 1;
  }
  std::vector<float> expected(p.v.begin(), p.v.begin() + d * dv);
  expected.insert(expected.end(), p.v.begin() + dv, p.v.begin() + d * dv);
  expected.insert(expected.end(), p.v.begin() + d * dv, p.v.begin() + (d + 1) * dv);
  for (StateForm form : kForms) {
    const std::vector<float> y = Compute(impl(), p, form).y;
    EXPECT_TRUE(SameBits(y.data(), expected.data(), (2 * d - 1) * dv));
    // old + (new - old): two roundings.
    for (int64_t j = (2 * d - 1) * dv; j < 2 * d * dv; ++j) EXPECT_NEAR(y[j], expected[j], 1e-6);
  }
}

TEST_P(GatedDeltaTest, ZeroKeysAndQueriesGiveZerosAndNoNan) {
  Problem p = RandomProblem({0, 20}, 1, 1, 8, 8, 0.0f);
  std::fill_n(p.k.begin() + 8 * 3, 8, 0.0f);
  std::fill_n(p.q.begin() + 8 * 5, 8, 0.0f);
  const Answer expected = Compute(reference(), p, StateForm::kAuto);
  for (StateForm form : kForms) {
    const Answer a = Compute(impl(), p, form);
    ExpectClose(a, expected, "zero key");
    for (int64_t j = 0; j < 8; ++j) EXPECT_EQ(a.y[5 * 8 + j], 0.0f);
  }
}

TEST_P(GatedDeltaTest, NormaliseDividesByTheLength) {
  Problem p = RandomProblem({0, 20}, 1, 1, 12, 8, 0.3f);
  const std::vector<float> expected = Compute(impl(), p, StateForm::kAuto).y;
  for (float& k : p.k) k *= 1000;
  for (float& q : p.q) q *= 300;
  // 1e-6 beside |x|^2 of about 12.
  EXPECT_LE(RelativeError(Compute(impl(), p, StateForm::kAuto).y, expected), 1e-6);
}

TEST_P(GatedDeltaTest, ShutGateForgetsExactly) {
  for (const float shut : {-60.0f, -1e30f, -kInf}) {
    for (const int64_t at : {0, 3, 8, 15, 16, 20}) {
      Problem p = RandomProblem({0, 40}, 1, 2, 20, 12, 0.5f), changed = p;
      for (Problem* each : {&p, &changed}) std::fill_n(each->g.begin() + at * 2, 2, shut);
      for (float& s : changed.state) s = 5 - s;
      for (int64_t i = 0; i < at * 2 * 12; ++i) changed.v[i] += 3;
      for (StateForm form : kForms) {
        const Answer a = Compute(impl(), p, form), b = Compute(impl(), changed, form);
        EXPECT_TRUE(SameBits(a.y.data() + at * 24, b.y.data() + at * 24, (40 - at) * 24)) << at;
        EXPECT_TRUE(SameBits(a.state.data(), b.state.data(), 2 * 20 * 12)) << shut;
        EXPECT_LE(RelativeError(a.y, Compute(reference(), p, form).y), kTolerance);
      }
    }
  }
}

TEST_P(GatedDeltaTest, SplitAnywhereIsOnePass) {
  const Problem p = RandomProblem({0, 50}, 1, 2, 20, 24, 0.3f);
  for (StateForm form : kForms) {
    const Answer whole = Compute(impl(), p, form);
    for (int64_t cut = 0; cut <= 50; ++cut) {
      const Problem head = Part(p, 0, cut, p.state);
      std::vector<float> state = p.state;
      Answer joined = {Outputs(impl(), head, form, &state), {}};
      const Answer rest = Compute(impl(), Part(p, cut, 50, state), form);
      joined.y.insert(joined.y.end(), rest.y.begin(), rest.y.end());
      joined.state = rest.state;
      ExpectClose(joined, whole, "cut " + std::to_string(cut));
    }
  }
}

TEST_P(GatedDeltaTest, SequenceAloneEqualsSequenceInAnyPacking) {
  const Problem p = RandomProblem({0, 1, 1, 18, 50, 51, 115}, 2, 4, 20, 24, 0.3f);
  const int64_t state = p.heads * StateFloats(p.dk, p.dv), width = p.heads * p.dv;
  for (StateForm form : kForms) {
    const Answer packed = Compute(impl(), p, form);
    for (int64_t s = 0; s < p.sequences(); ++s) {
      const int64_t first = p.offsets[s], last = p.offsets[s + 1];
      const Answer a = Compute(
          impl(),
          Part(p, first, last,
               std::vector<float>(p.state.begin() + s * state, p.state.begin() + (s + 1) * state)),
          form);
      EXPECT_TRUE(first == last ||
                  SameBits(a.y.data(), packed.y.data() + first * width, (last - first) * width));
      EXPECT_TRUE(SameBits(a.state.data(), packed.state.data() + s * 4 * 480, 4 * 480)) << s;
    }
  }
}

// Four value heads on two key heads: the same as each with a key head of its own.
TEST_P(GatedDeltaTest, SharedKeyHeadsEqualRepeatedOnes) {
  const Problem p = RandomProblem({0, 37}, 2, 4, 20, 12, 0.3f);
  Problem repeated = p;
  repeated.key_heads = 4;
  for (std::vector<float>* x : {&repeated.q, &repeated.k}) {
    std::vector<float> each;
    for (int64_t i = 0; i < 37 * 4; ++i) {
      each.insert(each.end(), x->begin() + i / 2 * 20, x->begin() + (i / 2 + 1) * 20);
    }
    *x = each;
  }
  for (StateForm form : kForms) {
    const Answer a = Compute(impl(), p, form), b = Compute(impl(), repeated, form);
    EXPECT_TRUE(SameBits(a.y.data(), b.y.data(), 37 * 4 * 12));
    EXPECT_TRUE(SameBits(a.state.data(), b.state.data(), 4 * 20 * 12));
  }
}

TEST_P(GatedDeltaTest, NanReachesItsHeadFromItsTokenOn) {
  for (StateForm form : kForms) {
    for (const int64_t at : {0, 5, 8, 13, 17}) {
      for (int operand = 0; operand < 5; ++operand) {
        Problem p = RandomProblem({0, 20, 40}, 2, 2, 12, 12, 0.3f);
        const int64_t row = at * 2 + 1;
        if (operand == 0) p.q[row * 12 + 4] = kNan;
        if (operand == 1) p.k[row * 12 + 4] = kNan;
        if (operand == 2) p.v[row * 12 + 4] = kNan;
        if (operand == 3) p.g[row] = kNan;
        if (operand == 4) p.beta[row] = kNan;
        const Answer a = Compute(impl(), p, form);
        for (int64_t i = 0; i < 40 * 2 * 12; ++i) {
          const int64_t token = i / 24, head = i / 12 % 2, column = i % 12;
          bool reached = head == 1 && token >= at && token < 20;
          if (operand == 0) reached = reached && token == at;
          if (operand == 2) reached = reached && column == 4;
          ASSERT_EQ(std::isnan(a.y[i]), reached)
              << "operand " << operand << " at " << at << " token " << token << " head " << head;
        }
      }
    }
  }
}

// One line reproduces a failure: seed, form and shape.
TEST_P(GatedDeltaTest, RandomShapesMatchReferenceTwiceToTheBit) {
  for (uint32_t seed = 1; seed <= 40; ++seed) {
    std::mt19937 bits(seed);
    const auto draw = [&](int64_t low, int64_t high) {
      return low + static_cast<int64_t>(bits() % static_cast<uint32_t>(high - low + 1));
    };
    std::vector<int64_t> offsets = {0};
    for (int64_t s = draw(1, 4); s > 0; --s) offsets.push_back(offsets.back() + draw(0, 70));
    const int64_t key_heads = draw(1, 2), heads = key_heads * draw(1, 3);
    const int64_t dk = draw(1, 70), dv = draw(1, 70);
    const float strongest = std::pow(10.0f, static_cast<float>(draw(-3, 1))) * 3;
    const Problem p = RandomProblem(offsets, key_heads, heads, dk, dv, strongest, 1, seed);
    const StateForm form = kForms[seed % 3];
    const std::string what = "seed " + std::to_string(seed) + " tokens " +
                             std::to_string(p.tokens()) + " key heads " +
                             std::to_string(key_heads) + " heads " + std::to_string(heads) +
                             " dk " + std::to_string(dk) + " dv " + std::to_string(dv) + " form " +
                             std::to_string(seed % 3) + " gates " + std::to_string(strongest);
    const Answer a = Compute(impl(), p, form), b = Compute(impl(), p, form);
    ExpectClose(a, Compute(reference(), p, form), what);
    EXPECT_TRUE(SameBits(a.y.data(), b.y.data(), static_cast<int64_t>(a.y.size()))) << what;
    EXPECT_TRUE(SameBits(a.state.data(), b.state.data(), static_cast<int64_t>(a.state.size())))
        << what;
  }
}

TEST_P(GatedDeltaTest, EmptyWorkAndBadArguments) {
  const int64_t none[] = {0, 0}, falling[] = {3, 2}, one[] = {0, 1};
  const auto run = [&](int64_t sequences, int64_t key_heads, int64_t heads, int64_t dv,
                       const int64_t* offsets) {
    return impl()
        .run({sequences,
              key_heads,
              heads,
              8,
              dv,
              offsets,
              nullptr,
              nullptr,
              nullptr,
              nullptr,
              nullptr,
              nullptr,
              nullptr,
              0,
              true,
              StateForm::kAuto,
              {}})
        .code;
  };
  EXPECT_EQ(run(0, 2, 2, 8, nullptr), Code::kOk);
  EXPECT_EQ(run(1, 0, 0, 8, one), Code::kOk);
  EXPECT_EQ(run(1, 2, 2, 0, one), Code::kOk);
  EXPECT_EQ(run(1, 2, 2, 8, none), Code::kOk);
  EXPECT_EQ(run(1, 2, 3, 8, none), Code::kInvalidArgument);
  EXPECT_EQ(run(1, 0, 2, 8, none), Code::kInvalidArgument);
  EXPECT_EQ(run(1, 2, 2, 8, nullptr), Code::kInvalidArgument);
  EXPECT_EQ(run(1, 2, 2, 8, falling), Code::kInvalidArgument);
  EXPECT_EQ(run(1, 2, 2, 8, one), Code::kInvalidArgument);
  EXPECT_EQ(run(-1, 2, 2, 8, one), Code::kInvalidArgument);
  Problem p = RandomProblem({0, 3}, 1, 1, 8, 8, 1.0f);
  std::vector<float> scratch(4096), y(24);
  const size_t bytes = GatedDeltaWorkspaceBytes(8);
  EXPECT_EQ(impl()
                .run({1,
                      1,
                      1,
                      8,
                      8,
                      p.offsets.data(),
                      p.q.data(),
                      p.k.data(),
                      p.v.data(),
                      p.g.data(),
                      p.beta.data(),
                      p.state.data(),
                      y.data(),
                      0,
                      true,
                      StateForm::kAuto,
                      {scratch.data(), bytes - 1}})
                .code,
            Code::kInvalidArgument);
}

}  // namespace
}  // namespace penstock::kernels
