// Curves made small enough to draw.
#pragma once

#include <cstddef>
#include <vector>

namespace attune::report {

/// One point of a curve.
struct Point {
  double x = 0;
  double y = 0;
};

/// Neighbouring points of a curve, drawn as one.
struct Bucket {
  double x = 0;     ///< mean of the points' x.
  double mean = 0;  ///< mean of their y.
  double low = 0;   ///< their least y.
  double high = 0;  ///< their largest y.
};

/// At most `limit` buckets of equally many points each; points that are not finite are left out.
/// The least and the largest y of the curve are a low and a high of the result.
std::vector<Bucket> downsample(const std::vector<Point>& points, size_t limit);

/// Mean over a window of `width` points around each; narrower at both ends, so that it stays
/// centred.
std::vector<Point> running_mean(const std::vector<Point>& points, size_t width);

/// The points with finite coordinates.
std::vector<Point> finite_points(const std::vector<Point>& points);

}  // namespace attune::report
