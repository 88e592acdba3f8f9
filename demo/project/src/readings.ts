export interface Reading {
  time: string;
  station: string;
  celsius: number;
}

/** Reads CSV lines `time,station,celsius`; lines that start with # are remarks. */
export function parseReadings(text: string): Reading[] {
  const readings: Reading[] = [];
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    const [time = "", station = "", celsius = ""] = line.split(",");
    readings.push({ time, station, celsius: Number(celsius) });
  }
  return readings;
}

/** Readings by station, in the order in which stations first appear. */
export function byStation(readings: Reading[]): Map<string, Reading[]> {
  const stations = new Map<string, Reading[]>();
  for (const reading of readings) {
    const list = stations.get(reading.station) ?? [];
    list.push(reading);
    stations.set(reading.station, list);
  }
  return stations;
}
