#include "cli/output/svg_chart.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"

namespace penstock::cli {
namespace {

// Told apart also by readers who see few colours (Okabe and Ito, Color Universal Design, 2008).
constexpr std::array<const char*, 8> kColours = {"#0072B2", "#D55E00", "#009E73", "#CC79A7",
                                                 "#E69F00", "#56B4E9", "#000000", "#7F7F7F"};
constexpr double kLeft = 72, kRight = 24, kTop = 44, kBottom = 56;

std::string Escaped(absl::string_view text) {
  return absl::StrReplaceAll(text,
                             {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}});
}

std::string Number(double value) {
  if (std::abs(value) < 1e-12) return "0";
  return absl::StrFormat("%.6g", value);
}

// One direction of the chart: data to pixels, and where its ticks stand.
class Scale {
 public:
  Scale(const ChartAxis& axis, std::vector<double> values, double from, double to)
      : logarithmic_(axis.logarithmic), from_(from), to_(to) {
    double low = std::numeric_limits<double>::infinity();
    double high = -low;
    for (const double value : values) {
      if (!Shows(value)) continue;
      low = std::min(low, value);
      high = std::max(high, value);
    }
    if (low > high) {
      low = logarithmic_ ? 1 : 0;
      high = logarithmic_ ? 10 : 1;
    }
    if (axis.lowest.has_value() && Shows(*axis.lowest)) low = *axis.lowest;
    if (axis.highest.has_value() && Shows(*axis.highest)) high = *axis.highest;
    if (high < low) std::swap(low, high);
    if (logarithmic_) {
      MakeLogarithmicTicks(low, high);
    } else {
      MakeLinearTicks(low, high, axis);
    }
  }

  bool Shows(double value) const { return std::isfinite(value) && (!logarithmic_ || value > 0); }
  const std::vector<double>& ticks() const { return ticks_; }
  double At(double value) const {
    const double x = logarithmic_ ? std::log10(value) : value;
    return from_ + (to_ - from_) * std::clamp((x - low_) / (high_ - low_), -0.02, 1.02);
  }

 private:
  void MakeLinearTicks(double low, double high, const ChartAxis& axis) {
    if (high == low) {
      const double room = low == 0 ? 1 : std::abs(low) * 0.1;
      low -= room;
      high += room;
    }
    const double rough = (high - low) / 6;
    const double power = std::pow(10.0, std::floor(std::log10(rough)));
    double step = power * 10;
    for (const double nice : {1.0, 2.0, 5.0}) {
      if (nice * power >= rough * (1 - 1e-9)) {
        step = nice * power;
        break;
      }
    }
    low_ = axis.lowest.has_value() ? low : std::floor(low / step + 1e-9) * step;
    high_ = axis.highest.has_value() ? high : std::ceil(high / step - 1e-9) * step;
    const double first = std::ceil(low_ / step - 1e-9);
    for (double i = first; i * step <= high_ + step * 1e-9; ++i) ticks_.push_back(i * step);
  }

  void MakeLogarithmicTicks(double low, double high) {
    low_ = std::log10(low);
    high_ = std::log10(high);
    if (high_ - low_ < 1e-9) {
      low_ -= 0.5;
      high_ += 0.5;
    }
    // Below two decades the powers of ten are too few.
    const bool fine = high_ - low_ < 2;
    for (int decade = static_cast<int>(std::floor(low_)); decade <= std::ceil(high_); ++decade) {
      for (const double digit : {1.0, 2.0, 5.0}) {
        if (digit > 1 && !fine) continue;
        const double at = decade + std::log10(digit);
        if (at >= low_ - 1e-9 && at <= high_ + 1e-9) ticks_.push_back(digit * std::pow(10, decade));
      }
    }
  }

  const bool logarithmic_;
  const double from_, to_;
  double low_ = 0, high_ = 1;
  std::vector<double> ticks_;
};

class Drawing {
 public:
  explicit Drawing(const Chart& chart)
      : chart_(chart),
        right_(chart.width - kRight),
        bottom_(chart.height - kBottom),
        x_(chart.x, Values(chart, /*of_x=*/true), kLeft, right_),
        y_(chart.y, Values(chart, /*of_x=*/false), bottom_, kTop) {}

  std::string Draw() {
    absl::StrAppendFormat(&svg_,
                          "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
                          "viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" font-size=\"12\">\n"
                          "<rect width=\"%d\" height=\"%d\" fill=\"white\"/>\n",
                          chart_.width, chart_.height, chart_.width, chart_.height, chart_.width,
                          chart_.height);
    Text(kLeft, 24, "start", chart_.title, " font-size=\"15\" font-weight=\"bold\"");
    Axes();
    for (const auto& [level, label] : chart_.levels) Level(level, label);
    for (size_t i = 0; i < chart_.series.size(); ++i) {
      Series(chart_.series[i], kColours[i % kColours.size()]);
    }
    Legend();
    svg_ += "</svg>\n";
    return std::move(svg_);
  }

 private:
  static std::vector<double> Values(const Chart& chart, bool of_x) {
    std::vector<double> values;
    for (const ChartSeries& series : chart.series) {
      for (const auto& [x, y] : series.points) values.push_back(of_x ? x : y);
    }
    if (!of_x) {
      for (const auto& [level, label] : chart.levels) values.push_back(level);
    }
    return values;
  }

  void Text(double x, double y, absl::string_view anchor, absl::string_view text,
            absl::string_view more = "") {
    absl::StrAppendFormat(&svg_, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\"%s>%s</text>\n", x,
                          y, anchor, more, Escaped(text));
  }
  void Line(double x1, double y1, double x2, double y2, absl::string_view style) {
    absl::StrAppendFormat(&svg_, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" %s/>\n", x1,
                          y1, x2, y2, style);
  }

  void Axes() {
    for (const double tick : x_.ticks()) {
      Line(x_.At(tick), kTop, x_.At(tick), bottom_, "stroke=\"#e5e5e5\"");
      Text(x_.At(tick), bottom_ + 18, "middle", Number(tick));
    }
    for (const double tick : y_.ticks()) {
      Line(kLeft, y_.At(tick), right_, y_.At(tick), "stroke=\"#e5e5e5\"");
      Text(kLeft - 8, y_.At(tick) + 4, "end", Number(tick));
    }
    Line(kLeft, bottom_, right_, bottom_, "stroke=\"black\"");
    Line(kLeft, kTop, kLeft, bottom_, "stroke=\"black\"");
    Text((kLeft + right_) / 2, bottom_ + 42, "middle", chart_.x.label);
    const double middle = (kTop + bottom_) / 2;
    Text(18, middle, "middle", chart_.y.label,
         absl::StrFormat(" transform=\"rotate(-90 18 %.1f)\"", middle));
  }

  void Level(double level, absl::string_view label) {
    if (!y_.Shows(level)) return;
    Line(kLeft, y_.At(level), right_, y_.At(level), "stroke=\"#555555\" stroke-dasharray=\"2 3\"");
    Text(right_ - 4, y_.At(level) - 4, "end", label, " fill=\"#555555\"");
  }

  void Series(const ChartSeries& series, absl::string_view colour) {
    std::string path;
    double last_y = 0;
    for (const auto& [x, y] : series.points) {
      if (!x_.Shows(x) || !y_.Shows(y)) continue;
      if (!path.empty() && series.kind == ChartSeries::Kind::kSteps) {
        absl::StrAppendFormat(&path, " %.1f,%.1f", x_.At(x), last_y);
      }
      last_y = y_.At(y);
      absl::StrAppendFormat(&path, "%s%.1f,%.1f", path.empty() ? "" : " ", x_.At(x), last_y);
    }
    if (series.kind != ChartSeries::Kind::kPoints && !path.empty()) {
      absl::StrAppendFormat(
          &svg_, "<polyline points=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"1.8\"%s/>\n",
          path, colour, series.dashed ? " stroke-dasharray=\"6 4\"" : "");
    }
    for (size_t i = 0; i < series.points.size(); ++i) {
      const auto& [x, y] = series.points[i];
      if (!x_.Shows(x) || !y_.Shows(y)) continue;
      if (series.kind == ChartSeries::Kind::kPoints) {
        absl::StrAppendFormat(&svg_, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\" fill=\"%s\"/>\n",
                              x_.At(x), y_.At(y), colour);
      }
      if (i < series.labels.size() && !series.labels[i].empty()) {
        const bool near_right = x_.At(x) > right_ - 120;
        Text(x_.At(x) + (near_right ? -6 : 6), y_.At(y) - 5, near_right ? "end" : "start",
             series.labels[i], " font-size=\"10\"");
      }
    }
  }

  void Legend() {
    double y = bottom_ - 10;
    for (size_t i = chart_.series.size(); i-- > 0;) {
      if (chart_.series[i].name.empty()) continue;
      absl::StrAppendFormat(
          &svg_, "<rect x=\"%.1f\" y=\"%.1f\" width=\"10\" height=\"10\" fill=\"%s\"/>\n",
          right_ - 16, y - 9, kColours[i % kColours.size()]);
      Text(right_ - 22, y, "end", chart_.series[i].name);
      y -= 17;
    }
  }

  const Chart& chart_;
  const double right_, bottom_;
  const Scale x_, y_;
  std::string svg_;
};

}  // namespace

std::string SvgChart(const Chart& chart) { return Drawing(chart).Draw(); }

absl::Status WriteSvgChart(const Chart& chart, const std::string& path) {
  const std::string svg = SvgChart(chart);
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (file == nullptr) return absl::UnavailableError(absl::StrCat("cannot write ", path));
  const bool written = std::fwrite(svg.data(), 1, svg.size(), file) == svg.size();
  if (std::fclose(file) != 0 || !written) {
    return absl::UnavailableError(absl::StrCat("cannot write ", path));
  }
  return absl::OkStatus();
}

}  // namespace penstock::cli
