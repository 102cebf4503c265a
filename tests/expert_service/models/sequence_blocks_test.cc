// gated_linear_attention and gated_delta.

#include <cmath>

#include "gmock/gmock.h"
#include "tests/expert_service/models/loops.h"
#include "tests/support/status_matchers.h"

namespace penstock::expert {
namespace {

using kernels::WeightFormat;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr double kTolerance = 1e-5;

struct Sizes {
  size_t d, keys, values, heads, value_heads;
};

std::string Config(size_t d, const std::string& block) {
  const std::string shape = "shape: [-1, " + std::to_string(d) + "]";
  return "inputs { name: 'x' datatype: 'FP32' " + shape +
         " } outputs { name: 'y' datatype: 'FP32' " + shape + " } blocks { " + block +
         " } batching { max_rows: 64 }";
}

// y = Wo (rms_norm(o) * silu(Wg n)) [+ x], of one position.
Doubles Readout(const Tensors& t, const Sizes& s, const Doubles& x, const Doubles& n, Doubles o,
                bool gated, bool residual) {
  const size_t dv = s.values / s.value_heads;
  for (size_t h = 0; h < s.value_heads; ++h) {
    const Doubles normed = RmsNormOf(Part(o, h * dv, dv), t["0.out_norm"]);
    std::copy(normed.begin(), normed.end(), o.begin() + static_cast<std::ptrdiff_t>(h * dv));
  }
  if (gated) {
    const Doubles gate = Times(t["0.gate"], n);
    for (size_t i = 0; i < o.size(); ++i) o[i] *= SiluOf(gate[i]);
  }
  const Doubles y = Times(t["0.out"], o);
  return residual ? Plus(y, x) : y;
}

struct GlaForm {
  bool hgrn2 = false;
  bool gated = true;
  bool surrounded = false;  // norm and residual
};

std::string GlaConfig(const Sizes& s, const GlaForm& form) {
  return Config(s.d, "gated_linear_attention { heads: " + std::to_string(s.heads) +
                         (form.hgrn2 ? " forget_gate: HGRN2" : "") +
                         (form.surrounded ? " norm: true residual: true" : "") + " }");
}

Tensors GlaTensors(const Sizes& s, const GlaForm& form) {
  const int64_t d = static_cast<int64_t>(s.d), keys = static_cast<int64_t>(s.keys),
                values = static_cast<int64_t>(s.values);
  Tensors t;
  t.Add("0.q", {keys, d});
  t.Add("0.v", {values, d});
  t.Add("0.out", {d, values});
  t.Add("0.out_norm", {values / static_cast<int64_t>(s.heads)}, 0.5f, 1.0f);
  if (form.gated) t.Add("0.gate", {values, d});
  if (form.surrounded) t.Add("0.norm", {d}, 0.5f, 1.0f);
  if (form.hgrn2) {
    t.Add("0.forget", {keys, d}, 2.0f);
    t.Add("0.lower_bound", {keys}, 0.5f, 0.5f);
  } else {
    t.Add("0.k", {keys, d});
    t.Add("0.forget_down", {3, d}, 4.0f);
    t.Add("0.forget_up", {keys, 3}, 4.0f);
    t.Add("0.forget_bias", {keys}, 2.0f);
  }
  return t;
}

// One row, [positions, d].
Doubles GlaLoop(const Tensors& t, const Sizes& s, const GlaForm& form, const Doubles& row) {
  const size_t dk = s.keys / s.heads, dv = s.values / s.heads;
  Doubles state(s.heads * dk * dv), out;
  for (size_t at = 0; at < row.size(); at += s.d) {
    const Doubles x = Part(row, at, s.d);
    const Doubles n = form.surrounded ? RmsNormOf(x, t["0.norm"]) : x;
    Doubles q = Times(t["0.q"], n), k(s.keys), decay(s.keys);
    const Doubles v = Times(t["0.v"], n);
    if (form.hgrn2) {
      const Doubles z = Times(t["0.forget"], n), bound = t["0.lower_bound"];
      for (size_t c = 0; c < s.keys; ++c) {
        q[c] = SiluOf(q[c]);
        decay[c] = bound[c] + (1 - bound[c]) * SigmoidOf(z[c]);
        k[c] = 1 - decay[c];
      }
    } else {
      k = Times(t["0.k"], n);
      const Doubles z =
          Plus(Times(t["0.forget_up"], Times(t["0.forget_down"], n)), t["0.forget_bias"]);
      for (size_t c = 0; c < s.keys; ++c) decay[c] = std::pow(SigmoidOf(z[c]), 1.0 / 16);
    }
    Doubles o(s.values);
    for (size_t h = 0; h < s.heads; ++h) {
      for (size_t c = 0; c < dk; ++c) {
        for (size_t j = 0; j < dv; ++j) {
          double& cell = state[(h * dk + c) * dv + j];
          cell = decay[h * dk + c] * cell + k[h * dk + c] * v[h * dv + j];
          o[h * dv + j] += cell * q[h * dk + c] / std::sqrt(static_cast<double>(dk));
        }
      }
    }
    const Doubles y = Readout(t, s, x, n, o, form.gated, form.surrounded);
    out.insert(out.end(), y.begin(), y.end());
  }
  return out;
}

struct DeltaForm {
  bool conv = false;
  bool negative = false;
  bool surrounded = false;
};

std::string DeltaConfig(const Sizes& s, const DeltaForm& form) {
  return Config(
      s.d, "gated_delta { heads: " + std::to_string(s.heads) +
               (s.value_heads == s.heads ? "" : " value_heads: " + std::to_string(s.value_heads)) +
               (form.negative ? " negative_eigenvalues: true" : "") +
               (form.surrounded ? " norm: true residual: true" : "") + " }");
}

Tensors DeltaTensors(const Sizes& s, const DeltaForm& form) {
  const int64_t d = static_cast<int64_t>(s.d), keys = static_cast<int64_t>(s.keys),
                values = static_cast<int64_t>(s.values),
                heads = static_cast<int64_t>(s.value_heads);
  Tensors t;
  t.Add("0.q", {keys, d});
  t.Add("0.k", {keys, d});
  t.Add("0.v", {values, d});
  t.Add("0.beta", {heads, d}, 2.0f);
  t.Add("0.decay", {heads, d});
  t.Add("0.a_log", {heads}, 1.0f);
  t.Add("0.dt_bias", {heads}, 1.0f);
  t.Add("0.gate", {values, d});
  t.Add("0.out", {d, values});
  t.Add("0.out_norm", {values / heads}, 0.5f, 1.0f);
  if (form.surrounded) t.Add("0.norm", {d}, 0.5f, 1.0f);
  if (form.conv) {
    t.Add("0.q_conv", {keys, 4});
    t.Add("0.k_conv", {keys, 4});
    t.Add("0.v_conv", {values, 3});  // any width
  }
  return t;
}

// [positions][channels]: the projection, and where there are taps the convolution and SiLU.
std::vector<Doubles> ChannelsOf(const Tensors& t, const std::string& name, bool conv,
                                const std::vector<Doubles>& n) {
  std::vector<Doubles> projected;
  for (const Doubles& each : n) projected.push_back(Times(t[name], each));
  if (!conv) return projected;
  const Doubles taps = t[name + "_conv"];
  const size_t channels = projected[0].size(), width = taps.size() / channels;
  std::vector<Doubles> out(n.size(), Doubles(channels));
  for (size_t p = 0; p < n.size(); ++p) {
    for (size_t c = 0; c < channels; ++c) {
      for (size_t back = 0; back < width && back <= p; ++back) {
        out[p][c] += taps[c * width + width - 1 - back] * projected[p - back][c];
      }
      out[p][c] = SiluOf(out[p][c]);
    }
  }
  return out;
}

Doubles UnitLength(Doubles v) {
  double square = 1e-6;
  for (const double each : v) square += each * each;
  for (double& each : v) each /= std::sqrt(square);
  return v;
}

Doubles DeltaLoop(const Tensors& t, const Sizes& s, const DeltaForm& form, const Doubles& row) {
  const size_t dk = s.keys / s.heads, dv = s.values / s.value_heads;
  std::vector<Doubles> x, n;
  for (size_t at = 0; at < row.size(); at += s.d) {
    x.push_back(Part(row, at, s.d));
    n.push_back(form.surrounded ? RmsNormOf(x.back(), t["0.norm"]) : x.back());
  }
  const auto q = ChannelsOf(t, "0.q", form.conv, n), k = ChannelsOf(t, "0.k", form.conv, n),
             v = ChannelsOf(t, "0.v", form.conv, n);
  const Doubles a_log = t["0.a_log"], dt_bias = t["0.dt_bias"];
  Doubles state(s.value_heads * dk * dv), out;
  for (size_t p = 0; p < x.size(); ++p) {
    const Doubles z_beta = Times(t["0.beta"], n[p]), z_decay = Times(t["0.decay"], n[p]);
    Doubles o(s.values);
    for (size_t h = 0; h < s.value_heads; ++h) {
      const size_t from = h * s.heads / s.value_heads;
      const Doubles key = UnitLength(Part(k[p], from * dk, dk));
      const Doubles query = UnitLength(Part(q[p], from * dk, dk));
      const double beta = (form.negative ? 2 : 1) * SigmoidOf(z_beta[h]);
      const double decay = std::exp(-std::exp(a_log[h]) * SoftplusOf(z_decay[h] + dt_bias[h]));
      double* cells = &state[h * dk * dv];
      for (size_t i = 0; i < dk * dv; ++i) cells[i] *= decay;
      for (size_t j = 0; j < dv; ++j) {
        double seen = 0;
        for (size_t c = 0; c < dk; ++c) seen += cells[c * dv + j] * key[c];
        const double update = beta * (v[p][h * dv + j] - seen);
        for (size_t c = 0; c < dk; ++c) {
          cells[c * dv + j] += key[c] * update;
          o[h * dv + j] += cells[c * dv + j] * query[c] / std::sqrt(static_cast<double>(dk));
        }
      }
    }
    const Doubles y = Readout(t, s, x[p], n[p], o, true, form.surrounded);
    out.insert(out.end(), y.begin(), y.end());
  }
  return out;
}

// The model over rows of some lengths, against `loop` of each row; alone and in the batch.
template <typename Loop>
void ExpectLoops(const std::string& config, const Tensors& tensors, const Sizes& s, Loop loop,
                 double tolerance = kTolerance) {
  ASSERT_OK_AND_ASSIGN(const auto model, MakeModel(config, tensors.all()));
  for (const size_t positions : {size_t{1}, size_t{7}, size_t{37}}) {
    const size_t rows = 7, of_row = positions * s.d;  // 37 positions: more than one group of rows
    const std::vector<int64_t> shape = {static_cast<int64_t>(rows), static_cast<int64_t>(positions),
                                        static_cast<int64_t>(s.d)};
    const std::vector<float> x = Noise(static_cast<int64_t>(rows * of_row), 99, 1.5f);
    Doubles wanted;
    for (size_t row = 0; row < rows; ++row) {
      const Doubles y = loop(Part(Doubles(x.begin(), x.end()), row * of_row, of_row));
      wanted.insert(wanted.end(), y.begin(), y.end());
    }
    EXPECT_LE(RelativeError(RunOne(*model, FloatTensor("x", shape, x)), wanted), tolerance)
        << positions << " positions";
    ExpectAloneEqualsBatch(*model, shape, x);
  }
}

constexpr Sizes kGla = {13, 15, 21, 3, 3};
constexpr Sizes kDelta = {13, 10, 28, 2, 4};  // two value heads a key head

TEST(GatedLinearAttentionBlockTest, EqualsPlainLoops) {
  for (const GlaForm form : {GlaForm{false, true, false}, GlaForm{false, true, true},
                             GlaForm{true, false, true}, GlaForm{true, true, false}}) {
    SCOPED_TRACE(testing::Message() << form.hgrn2 << form.gated << form.surrounded);
    const Tensors t = GlaTensors(kGla, form);
    ExpectLoops(GlaConfig(kGla, form), t, kGla,
                [&](const Doubles& row) { return GlaLoop(t, kGla, form, row); });
  }
}

TEST(GatedDeltaBlockTest, EqualsPlainLoops) {
  for (const DeltaForm form : {DeltaForm{false, false, false}, DeltaForm{false, true, true},
                               DeltaForm{true, false, true}, DeltaForm{true, true, false}}) {
    SCOPED_TRACE(testing::Message() << form.conv << form.negative << form.surrounded);
    const Tensors t = DeltaTensors(kDelta, form);
    ExpectLoops(DeltaConfig(kDelta, form), t, kDelta,
                [&](const Doubles& row) { return DeltaLoop(t, kDelta, form, row); });
  }
}

TEST(GatedDeltaBlockTest, EveryHeadItsOwnKeyUnlessValueHeadsSayOtherwise) {
  constexpr Sizes kAlike = {13, 10, 14, 2, 2};
  const Tensors t = DeltaTensors(kAlike, {});
  ExpectLoops(DeltaConfig(kAlike, {}), t, kAlike,
              [&](const Doubles& row) { return DeltaLoop(t, kAlike, {}, row); });
}

// Where the CPU multiplies codes in bfloat16 the inputs are rounded to it.
constexpr double kBf16Tolerance = 2e-2;

TEST(GatedLinearAttentionBlockTest, ComputesWithWhatQuantisedMatricesHold) {
  for (const GlaForm form : {GlaForm{}, GlaForm{true, true, false}}) {
    const Tensors t = GlaTensors(kGla, form);
    std::vector<std::string> matrices = {"0.q", "0.v", "0.gate", "0.out"};
    for (const char* name : {"0.forget"}) {
      if (form.hgrn2) matrices.push_back(name);
    }
    if (!form.hgrn2) {
      matrices.insert(matrices.end(), {"0.k", "0.forget_down", "0.forget_up"});
    }
    const Tensors rounded = Rounded(t, matrices, WeightFormat::kInt8);
    ASSERT_OK_AND_ASSIGN(const auto model,
                         MakeQuantized(GlaConfig(kGla, form), t, matrices, WeightFormat::kInt8));
    const std::vector<float> x = Noise(5 * 13, 3, 1.0f);
    EXPECT_LE(RelativeError(RunOne(*model, FloatTensor("x", {1, 5, 13}, x)),
                            GlaLoop(rounded, kGla, form, Doubles(x.begin(), x.end()))),
              kBf16Tolerance);
  }
}

TEST(GatedDeltaBlockTest, ComputesWithWhatQuantisedMatricesHold) {
  const Tensors t = DeltaTensors(kDelta, {});
  const std::vector<std::string> matrices = {"0.q",     "0.k",    "0.v",  "0.beta",
                                             "0.decay", "0.gate", "0.out"};
  const Tensors rounded = Rounded(t, matrices, WeightFormat::kInt8);
  ASSERT_OK_AND_ASSIGN(const auto model,
                       MakeQuantized(DeltaConfig(kDelta, {}), t, matrices, WeightFormat::kInt8));
  const std::vector<float> x = Noise(5 * 13, 3, 1.0f);
  EXPECT_LE(RelativeError(RunOne(*model, FloatTensor("x", {1, 5, 13}, x)),
                          DeltaLoop(rounded, kDelta, {}, Doubles(x.begin(), x.end()))),
            kBf16Tolerance);
}

// A row's NaN stays in it, and what comes after a position does not reach it.
void ExpectCausal(const Model& model) {
  std::vector<float> x = Noise(2 * 9 * 13, 5, 1.0f);
  const std::vector<float> before = RunOne(model, FloatTensor("x", {2, 9, 13}, x));
  for (size_t i = 6 * 13; i < 9 * 13; ++i) x[i] = std::nanf("");  // the first row's last three
  const std::vector<float> after = RunOne(model, FloatTensor("x", {2, 9, 13}, x));
  EXPECT_EQ(std::memcmp(before.data(), after.data(), 6 * 13 * sizeof(float)), 0);
  EXPECT_TRUE(std::isnan(after[6 * 13]));
  EXPECT_EQ(std::memcmp(&before[9 * 13], &after[9 * 13], 9 * 13 * sizeof(float)), 0);
}

TEST(GatedLinearAttentionBlockTest, IsCausal) {
  ASSERT_OK_AND_ASSIGN(const auto model,
                       MakeModel(GlaConfig(kGla, {}), GlaTensors(kGla, {}).all()));
  ExpectCausal(*model);
}

TEST(GatedDeltaBlockTest, IsCausal) {
  const DeltaForm form = {true, false, false};
  ASSERT_OK_AND_ASSIGN(const auto model,
                       MakeModel(DeltaConfig(kDelta, form), DeltaTensors(kDelta, form).all()));
  ExpectCausal(*model);
}

TEST(GatedLinearAttentionBlockTest, NamesWhatDoesNotFit) {
  const auto refuses = [](const GlaForm& form, const auto& change, const auto& message) {
    Tensors t = GlaTensors(kGla, form);
    change(t);
    EXPECT_THAT(MakeModel(GlaConfig(kGla, form), t.all()).status().message(), message);
  };
  refuses(
      {},
      [](Tensors& t) {
        t.Set("0.k", {14, 13}, Wave(14 * 13));
      },
      AllOf(HasSubstr("blocks[0] gated_linear_attention"), HasSubstr("0.k"), HasSubstr("[15,13]"),
            HasSubstr("[14,13]")));
  refuses(
      {},
      [](Tensors& t) {
        t.Set("0.q", {16, 13}, Wave(16 * 13));
      },
      HasSubstr("heads must divide the 16 channels of tensor q, found 3"));
  refuses(
      {}, [](Tensors& t) { t.Drop("0.gate"); }, HasSubstr("no tensor 0.gate"));
  refuses(
      {}, [](Tensors& t) { t.Drop("0.forget_bias"); }, HasSubstr("no tensor 0.forget_bias"));
  refuses(
      {}, [](Tensors& t) { t.Set("0.out_norm", {21}, Wave(21)); },
      AllOf(HasSubstr("0.out_norm"), HasSubstr("[7]"), HasSubstr("[21]")));
  refuses(
      {true, true, false},
      [](Tensors& t) {
        t.Add("0.k", {15, 13});
      },
      HasSubstr("tensor 0.k [15,13], which no block of config.yaml reads"));
  refuses(
      {true, true, false},
      [](Tensors& t) { t.Set("0.lower_bound", {15}, std::vector<float>(15, 1.5f)); },
      HasSubstr("tensor lower_bound: wanted numbers in [0, 1], found 1.5"));
  EXPECT_THAT(MakeModel("inputs { name: 'x' datatype: 'FP32' shape: 13 } outputs { name: 'y' "
                        "datatype: 'FP32' shape: 13 } blocks { gated_linear_attention { heads: 3 } "
                        "}",
                        GlaTensors(kGla, {}).all())
                  .status()
                  .message(),
              HasSubstr("wanted [rows, positions, dim], found [rows, 13]"));
}

TEST(GatedDeltaBlockTest, NamesWhatDoesNotFit) {
  const auto refuses = [](const auto& change, const auto& message) {
    Tensors t = DeltaTensors(kDelta, {true, false, false});
    change(t);
    EXPECT_THAT(MakeModel(DeltaConfig(kDelta, {}), t.all()).status().message(), message);
  };
  refuses(
      [](Tensors& t) {
        t.Set("0.v", {27, 13}, Wave(27 * 13));
      },
      HasSubstr("value_heads must divide the 27 channels of tensor v, found 4"));
  refuses(
      [](Tensors& t) {
        t.Set("0.beta", {2, 13}, Wave(26));
      },
      AllOf(HasSubstr("0.beta"), HasSubstr("[4,13]"), HasSubstr("[2,13]")));
  refuses(
      [](Tensors& t) {
        t.Set("0.k_conv", {10, 17}, Wave(170));
      },
      HasSubstr("tensor k_conv: wanted 1 to 16 taps, found 17"));
  refuses(
      [](Tensors& t) {
        t.Set("0.v_conv", {10, 4}, Wave(40));
      },
      AllOf(HasSubstr("0.v_conv"), HasSubstr("[28,4]"), HasSubstr("[10,4]")));
  refuses(
      [](Tensors& t) {
        t.Set("0.a_log", {4}, {1, 2, 100, 3});
      },
      HasSubstr("tensor a_log: wanted numbers whose exp is finite, found 100"));
  constexpr Sizes kUneven = {13, 10, 30, 2, 3};
  EXPECT_THAT(
      MakeModel(DeltaConfig(kUneven, {}), DeltaTensors(kUneven, {}).all()).status().message(),
      HasSubstr("value_heads must be a multiple of heads, 2, found 3"));
}

}  // namespace
}  // namespace penstock::expert
