// A handler in JavaScript: keeps notes. `componentize.mjs` beside it makes a component of it.
import { read, query, create } from "freehold:handler/records@1.0.0";
import { log, now } from "freehold:handler/server@1.0.0";

const TABLE = "com.example.coded.notes";

const answer = (status, value) => ({
  status,
  headers: [{ name: "content-type", value: "application/json" }],
  body: new TextEncoder().encode(JSON.stringify(value)),
});

export const http = {
  handle({ method, url, body }) {
    log("info", `${method} ${url}`);
    try {
      if (method === "POST") {
        const note = { ...JSON.parse(new TextDecoder().decode(body)), at: Number(now()) };
        return answer(201, JSON.parse(create(TABLE, undefined, JSON.stringify(note))));
      }
      const id = url.split("/")[3];
      return answer(200, id ? JSON.parse(read(TABLE, id)) : { count: JSON.parse(query(TABLE, '{"q":{}}')).length });
    } catch (error) {
      const failure = error.payload ?? { status: 500, message: String(error) };
      return answer(failure.status, { error: failure.message });
    }
  },
};
