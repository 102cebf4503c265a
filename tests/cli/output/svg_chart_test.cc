#include "cli/output/svg_chart.h"

#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace penstock::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

Chart Small() {
  Chart chart;
  chart.title = "Joules & value";
  chart.x.label = "joules";
  chart.y.label = "value";
  ChartSeries series;
  series.name = "a < b";
  series.points = {{0, 0}, {10, 1}};
  chart.series.push_back(series);
  return chart;
}

size_t Count(const std::string& text, const std::string& what) {
  size_t count = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++count;
  return count;
}

TEST(SvgChartTest, DrawsTitleAxesAndLegendWithMarkupEscaped) {
  const std::string svg = SvgChart(Small());
  EXPECT_THAT(svg, StartsWith("<svg xmlns=\"http://www.w3.org/2000/svg\""));
  for (const char* text :
       {"Joules &amp; value", ">joules<", ">value<", "a &lt; b", ">0.4<", ">10<"}) {
    EXPECT_THAT(svg, HasSubstr(text));
  }
  EXPECT_THAT(svg, Not(HasSubstr("a < b")));
  // Zero to ten lies between the left and the right edge of the plot.
  EXPECT_THAT(svg, HasSubstr("<polyline points=\"72.0,404.0 736.0,44.0\""));
}

TEST(SvgChartTest, TheSameChartHasTheSameBytes) { EXPECT_EQ(SvgChart(Small()), SvgChart(Small())); }

TEST(SvgChartTest, LeavesOutWhatCannotBeShown) {
  Chart chart = Small();
  chart.x.logarithmic = true;
  chart.series[0].kind = ChartSeries::Kind::kPoints;
  chart.series[0].points = {{0, 1}, {-3, 1}, {NAN, 1}, {1, INFINITY}, {1, 1}, {100, 2}};
  const std::string svg = SvgChart(chart);
  EXPECT_EQ(Count(svg, "<circle"), 2u);
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
  EXPECT_THAT(svg, Not(HasSubstr("inf")));
}

TEST(SvgChartTest, StepsHoldTheirValueUntilTheNextPoint) {
  Chart chart = Small();
  chart.series[0].kind = ChartSeries::Kind::kSteps;
  EXPECT_THAT(SvgChart(chart), HasSubstr("points=\"72.0,404.0 736.0,404.0 736.0,44.0\""));
}

TEST(SvgChartTest, AnEmptyChartAndASinglePointStillHaveAxes) {
  Chart chart;
  EXPECT_THAT(SvgChart(chart), HasSubstr("<line"));
  chart = Small();
  chart.series[0].points = {{5, 5}};
  EXPECT_THAT(SvgChart(chart), Not(HasSubstr("nan")));
}

TEST(SvgChartTest, SaysWhichFileCannotBeWritten) {
  const TempDir dir;
  EXPECT_THAT(WriteSvgChart(Small(), dir.File("a.svg")), IsOk());
  EXPECT_EQ(dir.Read("a.svg"), SvgChart(Small()));
  EXPECT_THAT(WriteSvgChart(Small(), dir.File("none/a.svg")),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("none/a.svg")));
}

}  // namespace
}  // namespace penstock::cli
