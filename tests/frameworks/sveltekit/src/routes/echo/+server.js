import { json } from "@sveltejs/kit";

export const POST = async ({ request }) => json({ given: await request.json() }, { status: 201 });
