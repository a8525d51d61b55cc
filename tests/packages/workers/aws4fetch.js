import { AwsV4Signer } from "aws4fetch";

const signer = new AwsV4Signer({
  url: "https://bucket.s3.amazonaws.com/key?x=1",
  accessKeyId: "AKIDEXAMPLE",
  secretAccessKey: "secret",
  datetime: "20260101T000000Z",
  service: "s3",
  region: "eu-central-1",
});
export default { fetch: async () => Response.json((await signer.sign()).headers.get("authorization")) };
